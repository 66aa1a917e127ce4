"""Words for numbers and signs in XTTS's 17 languages, where num2words has none or coqui's tokenizer drops them."""

from __future__ import annotations

import functools

# 0 to 99 in Hindi, which forms none of them by rule; num2words does not know the language.
_HINDI_WORDS = """
    शून्य एक दो तीन चार पाँच छह सात आठ नौ दस ग्यारह बारह तेरह चौदह पंद्रह सोलह सत्रह अठारह उन्नीस बीस
    इक्कीस बाईस तेईस चौबीस पच्चीस छब्बीस सत्ताईस अट्ठाईस उनतीस तीस इकतीस बत्तीस तैंतीस चौंतीस पैंतीस
    छत्तीस सैंतीस अड़तीस उनतालीस चालीस इकतालीस बयालीस तैंतालीस चौवालीस पैंतालीस छियालीस सैंतालीस
    अड़तालीस उनचास पचास इक्यावन बावन तिरपन चौवन पचपन छप्पन सत्तावन अट्ठावन उनसठ साठ इकसठ बासठ तिरसठ
    चौंसठ पैंसठ छियासठ सड़सठ अड़सठ उनहत्तर सत्तर इकहत्तर बहत्तर तिहत्तर चौहत्तर पचहत्तर छिहत्तर सतहत्तर
    अठहत्तर उन्यासी अस्सी इक्यासी बयासी तिरासी चौरासी पचासी छियासी सत्तासी अट्ठासी नवासी नब्बे इक्यानवे
    बानवे तिरानवे चौरानवे पंचानवे छियानवे सत्तानवे अट्ठानवे निन्यानवे
"""
HINDI = tuple(_HINDI_WORDS.split())
_HINDI_SCALES = ((10**7, "करोड़"), (10**5, "लाख"), (10**3, "हज़ार"), (100, "सौ"))
_HINDI_ORDINALS = {1: "पहला", 2: "दूसरा", 3: "तीसरा", 4: "चौथा", 6: "छठा"}

# Czech ordinals, which num2words does not know: below twenty, the tens, a hundred.
_CZECH_WORDS = """
    nultý první druhý třetí čtvrtý pátý šestý sedmý osmý devátý desátý jedenáctý dvanáctý třináctý čtrnáctý
    patnáctý šestnáctý sedmnáctý osmnáctý devatenáctý
"""
_CZECH_TEN_WORDS = """
    desátý dvacátý třicátý čtyřicátý padesátý šedesátý sedmdesátý osmdesátý devadesátý
"""
_CZECH_MONTH_WORDS = """
    ledna února března dubna května června července srpna září října listopadu prosince
"""
_CZECH, _CZECH_TENS = tuple(_CZECH_WORDS.split()), tuple(_CZECH_TEN_WORDS.split())
CZECH_MONTHS = frozenset(_CZECH_MONTH_WORDS.split())

_JAPANESE_DIGITS = ("ゼロ", "イチ", "ニ", "サン", "ヨン", "ゴ", "ロク", "ナナ", "ハチ", "キュウ")
_CHINESE_DIGITS = tuple("零一二三四五六七八九")

# What a decimal mark is called.
POINT = {
    "en": "point", "es": "coma", "fr": "virgule", "de": "Komma", "it": "virgola", "pt": "vírgula", "pl": "przecinek",
    "tr": "virgül", "ru": "запятая", "nl": "komma", "cs": "celá", "ar": "فاصلة", "zh-cn": "点", "ja": "点",
    "hu": "egész", "ko": "점", "hi": "दशमलव",
}  # fmt: skip

_SIGNS = "€¥₹+-=×÷²³"
# Euro, yen, rupee, plus, minus, equals, times, divided by, squared, cubed.
_SIGN_NAMES = {
    "en": "euros|yen|rupees|plus|minus|equals|times|divided by|squared|cubed",
    "es": "euros|yenes|rupias|más|menos|igual a|por|entre|al cuadrado|al cubo",
    "fr": "euros|yens|roupies|plus|moins|égale|fois|divisé par|au carré|au cube",
    "de": "Euro|Yen|Rupien|plus|minus|gleich|mal|geteilt durch|hoch zwei|hoch drei",
    "it": "euro|yen|rupie|più|meno|uguale a|per|diviso|al quadrato|al cubo",
    "pt": "euros|ienes|rupias|mais|menos|igual a|vezes|dividido por|ao quadrado|ao cubo",
    "pl": "euro|jenów|rupii|plus|minus|równa się|razy|podzielić przez|do kwadratu|do sześcianu",
    "tr": "avro|yen|rupi|artı|eksi|eşittir|çarpı|bölü|kare|küp",
    "ru": "евро|иен|рупий|плюс|минус|равно|умножить на|разделить на|в квадрате|в кубе",
    "nl": "euro|yen|roepie|plus|min|is gelijk aan|maal|gedeeld door|kwadraat|tot de derde",
    "cs": "eur|jenů|rupií|plus|minus|rovná se|krát|děleno|na druhou|na třetí",
    "ar": "يورو|ين|روبية|زائد|ناقص|يساوي|ضرب|قسمة|تربيع|تكعيب",
    "zh-cn": "欧元|日元|卢比|加|负|等于|乘以|除以|的平方|的立方",
    "ja": "ユーロ|円|ルピー|プラス|マイナス|イコール|かける|わる|の二乗|の三乗",
    "hu": "euró|jen|rúpia|plusz|mínusz|egyenlő|szor|osztva|négyzet|köb",
    "ko": "유로|엔|루피|더하기|마이너스|는|곱하기|나누기|제곱|세제곱",
    "hi": "यूरो|येन|रुपये|धन|माइनस|बराबर|गुणा|भाग|वर्ग|घन",
}
# Further signs that coqui reads in other languages and drops, or reads as another currency, in these.
_MORE_SIGNS = {
    "zh-cn": {"&": "和", "@": "艾特", "#": "号", "$": "美元", "£": "英镑"},
    "ja": {
        "&": "アンド", "@": "アットマーク", "%": "パーセント", "#": "シャープ", "$": "ドル", "£": "ポンド", "°": "度",
    },
    "ar": {"$": "دولار", "£": "جنيه"},
}  # fmt: skip


_DIGITS = {"hi": HINDI[:10], "ja": _JAPANESE_DIGITS, "zh-cn": _CHINESE_DIGITS}


@functools.cache
def signs(language: str) -> dict[str, str]:
    """The signs that are named here for a language, and what they are called."""
    return dict(zip(_SIGNS, _SIGN_NAMES[language].split("|"), strict=True)) | _MORE_SIGNS.get(language, {})


def cardinal(number: int, language: str) -> str:
    """A number in words. Raises whatever num2words raises for what it cannot say."""
    if language == "hi":
        return _hindi(number)
    from num2words import num2words

    return str(num2words(number, lang=language))


def spelt(digits: str, language: str) -> str:
    """Digits one by one."""
    names = _digit_names(language)
    return ("" if language == "zh-cn" else " ").join(names[int(digit)] for digit in digits)


def czech_ordinal(number: int) -> str:
    """``8`` as "osmý"; a hundred and more as cardinals. In Czech only the last two places are ordinal."""
    if number < 20:
        return _CZECH[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return _CZECH_TENS[tens - 1] + (f" {_CZECH[ones]}" if ones else "")
    return "stý" if number == 100 else cardinal(number, "cs")


def czech_genitive(ordinal: str) -> str:
    """As in a date: "osmého května"."""
    return " ".join(word[:-1] + ("ého" if word.endswith("ý") else "ího") for word in ordinal.split())


def hindi_ordinal(number: int) -> str:
    """``8`` as "आठवाँ"."""
    return _HINDI_ORDINALS.get(number) or f"{cardinal(number, 'hi')}वाँ"


@functools.cache
def _digit_names(language: str) -> tuple[str, ...]:
    if language in _DIGITS:
        return _DIGITS[language]
    return tuple(cardinal(digit, language) for digit in range(10))


def _hindi(number: int) -> str:
    if number < 100:
        return HINDI[number]
    for scale, name in _HINDI_SCALES:
        if number >= scale:
            more, rest = divmod(number, scale)
            return f"{_hindi(more)} {name}" + (f" {_hindi(rest)}" if rest else "")
    raise AssertionError(number)
