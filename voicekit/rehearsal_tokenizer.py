"""The rehearsal models' own text tokenizer: a BPE trained on words listed here and on made-up words.

The released XTTS v2 vocabulary comes under its weights' licence and cannot be shipped, so this one is
made afresh with the same structure: BPE over whitespace-split words, no normaliser, 6,681 entries, the
same special tokens. It knows spelling only, never meaning or grammar. The listed words give merges that
ordinary text meets; the made-up ones (consonants and vowels in each script's own order) fill the rest.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from voicekit.text import LANGUAGES

VOCABULARY_SIZE = 6681
SPECIAL_TOKENS = ("[STOP]", "[UNK]", "[SPACE]", "[START]", *(f"[{language}]" for language in LANGUAGES))

PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[]_{}|~¡¿«»„“”‘’‚…–—·°´`€£§،؛؟।॥。，、！？：；（）《》「」"
LATIN = "abcdefghijklmnopqrstuvwxyzßàáâãäåæçèéêëìíîïñòóôõöøùúûüýÿąćčďęěğıłńňōœőřśşšťűůźżž\u0307"
CYRILLIC = "абвгдежзийклмнопрстуфхцчшщъыьэюяёіїєґ"
ARABIC = "ءآأؤإئابةتثجحخدذرزسشصضطظعغفقكلمنهوىيپچڤگکیھـ\u064b\u064c\u064d\u064e\u064f\u0650\u0651\u0652\u0670"
# Devanagari: signs and letters; nukta, vowel signs and virama; om; letters with a nukta (danda: punctuation).
DEVANAGARI_RANGES = ((0x901, 0x939), (0x93C, 0x94D), (0x950, 0x950), (0x958, 0x963))
DEVANAGARI = "".join(chr(code) for first, last in DEVANAGARI_RANGES for code in range(first, last + 1))
DIGITS = "0123456789" + "٠١٢٣٤٥٦٧٨٩" + "०१२३४५६७८९"
ALPHABET = tuple(dict.fromkeys(PUNCTUATION + LATIN + CYRILLIC + ARABIC + DEVANAGARI + DIGITS))

# Common words, the most frequent first (their place sets how often they are repeated to the trainer).
WORDS = {
    "en": """
        the of and to a in is that it was for you he on with as i his be at have this they are not but
        had by from she or we an there her were one do been all their has would what will if can when
        said who so no more out up into them then some could him time its about than like only other my
        now over me just your how these two may first any people our new very after know good before
        little must through back years where much way well down should because each those here make
        great long work day see come even think get world still own being life man made never another
        while last might such under go old take off same right us between did too use again house place
        hand part every home look want give most water small night thought find began away something
        nothing always around going three light head left far without room eyes side tell asked once
        upon seen heard voice sound word words speak speech hello morning evening today tomorrow weather
        fine rain sun wind cold warm street city country family friend mother father children child
        woman women men young door window table book letter read write story school question answer
        money business company price number hundred thousand million percent second minute hour week
        month year north south east west river sea mountain road car train music play game learn teach
        knew known""",
    "es": """
        de la que el en y a los se del las un por con no una su para es al lo como más o pero sus le ha
        me si sin sobre este ya entre cuando todo esta ser son dos también fue había era muy años hasta
        desde está mi porque qué sólo han yo hay vez puede todos así nos ni parte tiene él uno donde
        bien tiempo mismo ese ahora cada vida otro después te otros aunque esa eso hace otra gobierno
        tan durante siempre día tanto ella tres sí dijo sido gran país según menos mundo año antes
        estado contra sino forma caso nada hacer estaba poco estos mayor algunas hola buenos noche
        mañana casa agua gracias señor palabra mujer hombre ciudad ejemplo trabajo nuevo mejor
        información nación canción corazón""",
    "fr": """
        de la le et les des en un du une que est pour qui dans a par plus pas au sur ne se ce il sont
        avec ou son mais comme on tout nous sa fait été aussi leur bien peut ces deux même elle cette où
        je sans ses être avait après ils vous très entre encore dont était temps autres faire notre
        depuis jour monde alors quand moins avant homme femme enfant maison rien toujours jamais petit
        grand beaucoup merci bonjour voix parler aujourd hui parce chose vie main œil eau ville année
        heure moment question toutes leurs peu trop chez nouveau première dernière français situation
        information cœur""",
    "de": """
        der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an
        werden aus er hat dass sie nach wird bei einer um am sind noch wie einem über einen so zum war
        haben nur oder aber vor zur bis mehr durch man sein wurde wenn ich kann schon wir dann jahre
        alle seine zwei unter gegen vom können immer jetzt ihr ihre uns heute morgen zeit mensch leben
        haus frau mann kind tag nacht stadt wasser wieder hier sehr gut guten danke bitte sprechen
        stimme wort straße schön groß klein möglich natürlich zwischen während geschichte gesellschaft
        arbeit freund müssen sollte würde schreiben gesagt gemacht einfach deutsch lich keit ung heit
        schaft""",
    "it": """
        di che e la il un a per in è una mi sono ho non ma lo ha le si ti i con cosa se io come da ci no
        questo qui hai sei del bene tu sì me più al mio c'è perché solo te era gli tutto della così mia
        ne questa fare quando ora fatto essere mai chi o alla tutti molto anche detto quello va niente
        grazie dei quella tempo uomo lei nella nel vita anni casa giorno notte acqua mondo parlare voce
        parola buongiorno signore donna bambino città lavoro sempre dopo prima ancora quindi nuovo
        grande zione""",
    "pt": """
        de a o que e do da em um para é com não uma os no se na por mais as dos como mas foi ao ele das
        tem à seu sua ou ser quando muito há nos já está eu também só pelo pela até isso ela entre era
        depois sem mesmo aos ter seus quem nas me esse eles estão você tinha foram essa num nem suas meu
        às minha têm numa pelos elas havia seja qual será nós tenho lhe deles bom dia obrigado noite
        casa água homem mulher tempo vida mundo palavra falar voz cidade trabalho então coração
        informação situação são""",
    "pl": """
        i w na z się nie do to że jest o jak a po co tak za od ale przez dla już czy tylko był jego być
        przy może gdy było są tym lub bardzo także jej ich pod przed tego który która które można
        jeszcze dzień dobry dziękuję proszę człowiek kobieta dziecko dom woda świat życie czas rok ręka
        głos słowo mówić wszystko nigdy zawsze teraz potem gdzie kiedy dlaczego ponieważ więcej mniej
        dobrze źle mały duży nowy stary pierwszy ostatni szczęście miłość przyjaciel miasto ulica
        książka praca polski""",
    "tr": """
        bir ve bu da de için ile çok o daha olarak gibi kadar ne ama var olan en sonra değil ben sen biz
        siz onlar her şey yok mı mi mu mü ise ki gün yıl zaman insan kadın adam çocuk ev su dünya hayat
        ses söz konuşmak bugün yarın gece sabah iyi kötü büyük küçük yeni eski güzel merhaba teşekkür
        ederim lütfen nasıl neden nerede şimdi önce bütün arkadaş şehir yol kitap okul çalışmak
        istiyorum biliyorum geliyor gidiyor oldu olduğu olduğunu yapmak etmek görmek vermek almak içinde
        üzerinde""",
    "ru": """
        и в не на я быть он с что а по это она этот к но они мы весь который из у то за свой год от так
        о для ты же все тот мочь вы человек такой его сказать только или ещё бы себя один как уже до
        время если сам когда другой вот говорить наш мой знать стать при чтобы дело жизнь кто первый
        очень два день её новый рука даже во со раз где там под можно ну какой после их работа без самый
        потом надо хотеть ли слово идти большой должен место иметь ничто сейчас тут лицо каждый друг нет
        теперь ни глаз тоже тогда видеть вопрос через да здесь дом потому сторона думать сделать страна
        жить чем мир об последний случай голова более делать что-то смотреть ребёнок просто конечно сила
        российский конец перед несколько вид система всегда работать между три понять пойти часть
        спросить город привет спасибо пожалуйста здравствуйте утро вечер ночь вода голос речь погода
        сегодня завтра""",
    "nl": """
        de en van ik te dat die in een hij het niet zijn is was op aan met als voor had er maar om hem
        dan zou of wat mijn men dit zo door over ze zich bij ook tot je mij uit der daar haar naar heb
        hoe heeft hebben deze u want nog zal me zij nu ge geen omdat iets worden toch al waren veel meer
        doen toen moet ben zonder kan hun dus alles onder ja eens hier wie werd altijd doch wordt wezen
        kunnen ons zelf goedemorgen dank vandaag morgen stem woord spreken huis water wereld leven mooi
        groot klein vrouw""",
    "cs": """
        a v na se je že to s z do o i k ve pro za by ale si po jako jsem tak jeho které který jsou od
        nebo už jen až být ještě aby když jak může má jejich před také než co však byl bylo byla mezi
        při let podle dobrý den děkuji prosím dnes zítra hlas slovo mluvit dům voda svět život čas
        člověk žena dítě město práce nový starý velký malý první poslední přítel škola kniha řeka světlo
        něco všechno nikdy vždy teď potom kde proč protože více méně dobře špatně příští""",
    "ar": """
        في من على إلى أن هذا هذه التي الذي عن مع كان لا ما لم كل بعد ذلك قد بين أو هو هي كانت حتى ثم عند
        قبل قال يوم الله غير أي منذ نحن أنا أنت هم كما لكن إذا فقط حيث خلال أكثر أول سنة عام وقت رجل
        امرأة ولد بيت ماء عالم حياة صوت كلمة كلام اليوم غدا صباح الخير مساء شكرا مرحبا كيف لماذا أين
        الآن مدينة كتاب مدرسة عمل صديق جديد كبير صغير جميل العربية اللغة الناس الدولة السلام وكان والذي
        بها فيها منها له لها به عليه إليه يكون تكون يقول كانوا الأول الثاني العمل العالم المدينة""",
    "ja": """
        no ni wa wo ga to de mo kara made desu masu mashita shita suru koto mono kore sore are kono sono
        ano watashi anata kare kanojo watashitachi hito nihon nihongo kyou ashita kinou asa yoru ima
        nani doko itsu naze dou arigatou gozaimasu konnichiwa sayounara sumimasen onegai shimasu tenki
        ii warui ookii chiisai atarashii furui utsukushii hanasu koe kotoba mizu ie machi sekai jikan
        toki gakkou sensei gakusei tomodachi hon yomu kaku miru kiku iku kuru taberu nomu naru aru iru
        imasu arimasu deshita deshou kudasai mashou shite natte itte kite yotte tsuite tokyo""",
    "hu": """
        a az és hogy nem is egy ez csak már de meg mint még volt ha vagy el ki kell ami mert azt van
        lesz minden most így sem úgy aki majd után között nagy akkor olyan más lehet nagyon jó napot
        reggel este ma holnap köszönöm kérem hang szó beszél ház víz világ élet idő ember nő férfi
        gyerek város munka új régi szép kicsi első utolsó barát iskola könyv folyó fény valami soha
        mindig itt ott miért hol mikor több kevesebb magyar ország szeretnék tudom láttam mondta volna
        lett ezt amely""",
    "ko": """
        i eun neun ga eul reul ui e eseo ro euro gwa wa do man kkaji buteo hada haneun han hamnida
        seumnida imnida isseumnida eopseumnida geu jeo geot su deung saram ttae nal nyeon wol il si bun
        annyeonghaseyo gamsahamnida oneul naeil eoje achim jeonyeok bam nalssi jota nappeuda keun jageun
        saeroun areumdaun mal moksori mul jip dosi segye sigan hakgyo seonsaengnim haksaeng chingu chaek
        hanguk hangugeo uri naneun neo geureona geurigo geuraeseo wae eodi eonje mueot nugu ieossda
        haetda isseoyo haeyo yeo eot doen doeeo hago hamyeon""",
    "hi": """
        के में की है से और का को पर यह हैं ने एक कि नहीं भी इस हो कर ही जो तो था गया लिए वह अपने या हुआ
        साथ थे बाद तक करने कुछ रहे करते थी होता दो उन दिया कहा सकता किया रहा आप हम मैं तुम वे उनके उस जब
        तब अब यहाँ वहाँ क्या क्यों कैसे कब कौन नमस्ते धन्यवाद कृपया आज कल सुबह शाम रात दिन समय साल आदमी
        औरत बच्चा घर पानी दुनिया जीवन आवाज़ शब्द बोलना भाषा हिन्दी भारत शहर काम नया पुराना बड़ा छोटा
        अच्छा बुरा सुंदर पहला दोस्त स्कूल किताब लोग देश बात बहुत सब कोई किसी जाता होती गई हुई लेकिन फिर
        सकते चाहिए""",
}  # fmt: skip

# Onsets, vowels, codas of made-up words; a space stands for "none". They follow no real dictionary.
SYLLABLES = {
    "en": ("b c d f g h j k l m n p r s t v w st tr pr gr pl ch sh th br cl fr sp wh qu str",
           "a e i o u ea ou ee oo ai ie ow er ar or", "  n r s t l d m ck nd nt st ng ss ll ght rd ll"),
    "romance": ("b c d f g l m n p r s t v br tr pr gl qu ch ll ñ ç gn lh nh",
                "a e i o u á é í ó ú à è ê â ã õ ie ue ia ão eu ou au oi io", "     n s r l m z"),
    "germanic": ("b d f g h k l m n p r s t v w z sch st pf kn gr schr zw vr sl",
                 "a e i o u ä ö ü ei ie au eu ij oe aa ee uu ui",
                 "  n r s t l ch cht rt nd ng tz ft kt st ß"),
    "slavic": ("b c d f g h j k l m n p r s t v w z cz sz rz dz ch č š ž ř ś ć ż ź ł př st prz kr",
               "a e i o u y ą ę ó á é í ý ě ů ie ia", "   n m k t ł ć ń sz w ch st š ž j"),
    "turkic": ("b c ç d f g h k l m n p r s ş t v y z sz gy ny ly cs zs",
               "a e ı i o ö u ü á é í ó ő ú ű", "   n r l k m t z ş ğ k sz"),
    "russian": ("б в г д ж з к л м н п р с т ф х ц ч ш щ ст пр тр вс гр", "а е и о у ы э ю я ё ие ия ого",
                "   н т л р м с в к й ть сть шь"),
    "arabic": ("ب ت ج ح خ د ر ز س ش ص ط ع ف ق ك ل م ن ه و ي ال", "  ا و ي ا", " ة ن م ل ر ب د ت ين ون ات ها"),
    "pinyin": ("b p m f d t n l g k h j q x zh ch sh r z c s y w",
               "a o e i u ai ei ao ou an en ang eng ong ia ie iao iu ian in iang ing ua uo ui uan un uang ue",
               "1 2 3 4 5"),
    "kana": ("k s t n h m y r w g z d b p ch sh ts j ky ry  ", "a i u e o ou ei uu", "     n"),
    "hangul": ("g n d r m b s j ch k t p h kk tt pp ss jj  ",
               "a eo o u eu i ae e oe wi ya yeo yo yu wa wo ui",
               "   k n t l m p ng"),
    "hindi": ("क ख ग घ च छ ज झ ट ठ ड ढ ण त थ द ध न प फ ब भ म य र ल व श स ह क्ष प्र त्र स्त ज्ञ",
              " ा ि ी ु ू े ै ो ौ ं ा", "    न र त ं"),
}  # fmt: skip
# How many made-up words of each kind, set so that listed words win the first merges and all kinds the last.
MADE_UP = {
    "en": 300, "romance": 2200, "germanic": 1500, "slavic": 1800, "turkic": 1200, "russian": 1200,
    "arabic": 900, "pinyin": 1200, "kana": 700, "hangul": 900, "hindi": 900,
}  # fmt: skip


def _listed_words() -> Iterator[str]:
    """Each listed word as often as its place says (Zipf: the k-th about 1 / k of the first)."""
    for language, text in WORDS.items():
        first = 4000 if language == "en" else 1200
        for place, word in enumerate(dict.fromkeys(text.split())):
            yield from [word] * max(first // (place + 8), 6)


def _made_up_words(seed: int) -> Iterator[str]:
    """Words of one to three syllables in every script; the same for the same seed."""
    chance = random.Random(seed)
    for kind, (onsets, vowels, codas) in SYLLABLES.items():
        parts = [part.split(" ") for part in (onsets, vowels, codas)]
        for _ in range(MADE_UP[kind]):
            count = chance.choice((1, 2, 2, 3))
            yield "".join(chance.choice(part) for _ in range(count) for part in parts)


def train(seed: int = 0) -> Any:
    """A `tokenizers.Tokenizer` of exactly 6,681 entries, the same for the same seed.

    Structure as released: BPE with `[UNK]`, whitespace-split, no normaliser, no decoder. A space comes
    to it as `[SPACE]`, which coqui's `VoiceBpeTokenizer` puts in.
    """
    from tokenizers import Tokenizer
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.trainers import BpeTrainer

    tokenizer = Tokenizer(BPE(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    trainer = BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=list(ALPHABET),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*_listed_words(), *_made_up_words(seed)], trainer)
    return tokenizer


def write_vocabulary(path: Path, seed: int = 0) -> Any:
    """Train, write `vocab.json` to `path` and give the tokenizer back."""
    tokenizer = train(seed)
    tokenizer.save(str(path))
    return tokenizer
