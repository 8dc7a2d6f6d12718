/** Ages below 18 as prompts state them, in texts that are normalised: punctuation is a space there. */

const DIGITS = "(?:[1-9]|1[0-7])";
const ENGLISH = "(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen)";
/** From six on: smaller numbers beside a person count something else. */
const SCHOOL_AGE = "(?:[6-9]|1[0-7]|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen)";
const NOT_BEFORE = "(?<![\\p{L}\\p{N}])";
const NOT_AFTER = "(?![\\p{L}\\p{N}])";

/** "Twenty six years": the second word alone is no age. */
const NO_TENS = "(?<!\\b(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|and)\\s)";
/** Years that are no age: "5 years ago", "12 years of war", but "12 years of age". */
const NO_SPAN = "(?!\\s(?:ago|later|after|before|since|from|in|anniversary|experience|war|of(?!\\sage)))";

const PERSON =
  "(?:girls?|boys?|she|he|her|him|kid|student|pupil|daughter|son|sister|brother|niece|nephew|lad|lass|model|female|male)";
const FILLER = "(?:(?:is|s|was|who|just|only|turning|turned|barely|yet|about|nearly|now|of|at)\\s){0,3}";
/** What makes a number beside a person something else than an age: "16:9", "girl, 8 k", "boy, 10 mm lens". */
const NO_MEASURE = "(?!\\s?(?:\\d|k\\b|mm\\b|cm\\b|px\\b|fps\\b|bit\\b|steps?\\b|pm\\b|am\\b|o clock|p\\b|x\\b))";

/** Numbers in words before the word for years, where a language writes them apart. */
const FOREIGN_WORDS: readonly (readonly [string, string])[] = [
  ["seis|siete|ocho|nueve|diez|once|doce|trece|catorce|quince|dieciseis|diecisiete", "an+os"],
  ["seis|sete|oito|nove|dez|onze|doze|treze|catorze|quatorze|quinze|dezesseis|dezasseis|dezessete", "anos"],
  ["six|sept|huit|neuf|dix|onze|douze|treize|quatorze|quinze|seize", "ans"],
  ["sei|sette|otto|nove|dieci|undici|dodici|tredici|quattordici|quindici|sedici|diciassette", "anni"],
  ["sechs|sieben|acht|neun|zehn|elf|zwolf|dreizehn|vierzehn|funfzehn|sechzehn|siebzehn", "jahre|jahrig\\p{L}*"],
];
/** "Vingt-six ans", "treinta y seis años". */
const NO_FOREIGN_TENS = "(?<!\\b(?:vingt|trente|quarante|cinquante|soixante|et|y|e|und)\\s)";

/** Korean letters come apart when a text is normalised. */
const SAL = "살".normalize("NFKD");
const KOREAN = ["", "한", "두", "세", "네", "다섯", "여섯", "일곱"].map((one) => `열${one}`.normalize("NFKD")).join("|");

const PATTERNS: readonly string[] = [
  // "14 yo", "12-year-old", "sixteen years", "9yr"
  `(?<!\\d)${DIGITS}\\s?(?:yo|y o|yrs?|years?|year old|yearold)(?!\\p{L})${NO_SPAN}`,
  `${NO_TENS}(?<!\\p{L})${ENGLISH}\\s?(?:yo|yrs?|years?|year old)(?!\\p{L})${NO_SPAN}`,
  // "aged 12", "age: thirteen"; ages of the world are none
  `(?<!\\b(?:ice|stone|bronze|iron|golden|space|middle|new|atomic)\\s)(?<!\\p{L})(?:aged?|age of|age is)\\s(?:${DIGITS}|${ENGLISH})${NOT_AFTER}`,
  // "girl, 15", "she is twelve"
  `${NOT_BEFORE}${PERSON}\\s${FILLER}${SCHOOL_AGE}${NOT_AFTER}${NO_MEASURE}`,
  // "under 18", "not yet eighteen"
  `(?<!\\p{L})(?:under|below|younger than|less than|not yet|not even)\\s(?:1[2-8]|eighteen|seventeen|sixteen|fifteen|legal age)${NOT_AFTER}${NO_MEASURE}`,
  // "8th grader", "sixth grade girl"
  `${NOT_BEFORE}(?:(?:[1-9]|1[01])(?:st|nd|rd|th)|first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh)\\s(?:graders?|grade\\s(?:girls?|boys?|students?|pupils?|class))${NOT_AFTER}`,
  // The same in other languages
  `(?<!\\d)${DIGITS}\\s?(?:an+os?|ans|jahre?|jahrig\\p{L}*|anni|лет|летн\\p{L}*|года?|lat|letni\\p{L}*|yasinda|yas|jaar|jarige?|ar gammal|tahun|tuoi)(?!\\p{L})`,
  ...FOREIGN_WORDS.map(([numbers, years]) => `${NO_FOREIGN_TENS}${NOT_BEFORE}(?:${numbers})\\s?(?:${years})(?!\\p{L})`),
  `(?<!\\d)${DIGITS}\\s?(?:歳|才|岁|歲|${SAL})`,
  "(?<![一二三四五六七八九十百])(?:[一二三四五六七八九]|十[一二三四五六七]?)(?:歳|才|岁|歲)",
  `(?:${KOREAN})\\s?${SAL}`,
];

const AGE = new RegExp(PATTERNS.join("|"), "u");

/** Whether a form of a text states an age below 18. */
export function statesMinorAge(form: string): boolean {
  return AGE.test(form);
}
