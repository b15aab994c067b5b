#!/usr/bin/env python3
"""Writes the goldens of crates/eval: what the reference normalizer and the reference error counts say.

    pip install openai-whisper==20250625 jiwer==4.0.0
    scripts/make-goldens-normalizer.py                      # crates/eval/tests/data/{normalizer,wer}.jsonl
    scripts/make-goldens-normalizer.py --wide FOLDER OUT    # every text of the .jsonl and .tsv files under FOLDER

A line of normalizer.jsonl is [text, normalized]; a line of wer.jsonl is
[reference, hypothesis, hits, substitutions, deletions, insertions], words as they are. NIGHTCALL_WIDE_GOLDENS=OUT makes
the crate's tests compare the wide file too.
"""

import argparse
import csv
import json
import pathlib
import random
import sys

import jiwer
from whisper.normalizers import EnglishTextNormalizer

DATA = pathlib.Path(__file__).resolve().parent.parent / "crates" / "eval" / "tests" / "data"

TEXTS = """
He won't pay, can't pay and shan't pay.
Let's go; we'll see what y'all ain't got.
I'm gonna, I'ma, imma, wanna, gotta, woulda, coulda, shoulda.
Yes ma'am, it's been done. He'd been there. She's gone and he'd gone. They'd done it. He's got it.
It's John's; he'd say they've they're we'd you'll don't isn't I'm.
'tis the season, 'twas the night, rock 'n' roll, o'clock
the dogs' bowl, James's, it 's spaced , do n't
Mr. Smith, Mrs. Jones, Dr. Who, Prof. X, St. John, Capt. Hook, Gov. Brown, Gen. Lee, Sen. Pat, Rep. Lee
Pres. Ford, Rev. Green, Hon. May, Asst. Manager, Assoc. Prof., Lt. Col. Blake, John Jr., John Sr., Esq., Ald. Poe
mr mrs dr prof st capt gov gen sen rep pres rev hon asst assoc lt col jr sr esq ald
Mister Ms. Miss 1st St. Dr.Who mr.smith street st1 ast
[laughter] hello <unk> there (whispering) now [unclosed and (half open
a [b (c] d) e <f [g> h] i ()
um uh hmm mm mhm mmm hm mmmm uhh ummm UM, Uh. um-hum uh_huh
Colour, flavour, honour, centre, theatre, realise, organised, grey, tyre, cheque, catalogue, programme, aeroplane
analyse analysed analysing defence licence travelled travelling jewellery mould plough sceptical
one two three four five six seven eight nine ten
eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty
zero oh o zeros ohs
first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth nineteenth
nineth zeroth twentieth thirtieth fortieth ninetieth hundredth thousandth millionth
ones twos threes fours fives sixes sevens eights nines tens twenties thirties nineties hundreds thousands millions
twenty one twenty-one twenty first twenty-first twenty firsts
thirty two thousand four hundred and fifty six
one hundred one hundred and one one hundred and twenty one hundred and twenty one
a hundred, two hundred and five, three hundred twelve, four hundred and twelve thousand
one thousand and one, two thousand and five, nine thousand nine hundred ninety nine
one million two hundred thousand three hundred and four
five billion, six trillion, seven quadrillion, eight quintillion, nine sextillion, two septillion
three octillion, four nonillion, five decillion, one decillion decillion
twenty twenty, nineteen ninety nine, nineteen oh five, nineteen hundred, nineteen hundred and five
twenty ten, two thousand twenty, two thousand and twenty four, eighteen sixty five, ten sixty six
double oh seven, triple one, double five, double twelve, triple zero nine, double o, double the price, triple
nine one one, four oh four, one oh one, one zero one, one oh one oh
five five five one two three four
area code four one five, five five five, oh one nine nine
zero point five, point five, one point two five, three point one four one five nine, ten point, point
one point two million, one point two five hundred, two point five thousand, one point two three four thousand
one point two point three million, one point two point three point four
one and a half, two and a half million, and a half, one hundred and a half, a day and a half, twenty and a half, oh and a half
three and a half percent, three point five percent, fifty per cent, per, percent, per capita, ten per day, five per
100% sure, 50 % off, 3.5%, %, % of, five%, a%b, 5%% done
twenty percent, one hundred percent, one percent, one per cent
five dollars, one dollar, twenty five dollars, twenty five dollars and ten cents, two dollars seven cents
ten cents, one cent, zero dollars and five cents, zero point five dollars, zero dollars
five pounds, ten euros, one pound, a pound, pounds, five euros and three cents, dollar bill
$5, $5.50, $20 million, $ 5, £3.99, €10, ¢50, 50¢, $1,000,000, US$5, $1, $1.5 billion, 5$, $0.05, $0.5, $0.123, $0x
$2 and ¢7, $2 ¢7, $2 and 7 cents, $ten, €five, $1s
minus five, negative twenty, plus one, positive, minus the, negative, minus minus five, plus minus two, minus five dollars
minus and, plus and five, minus 5, negative 3.5, -5, +5, - 5, 3 - 5, -five
and five, one and two, two hundred and, hundred and five, thousand and one and two, and and, five and, one and one hundred
1,000 10,000 1,000,000 1,2,3 1, 2, 3 12,34
3.14 3. 14 .5 0.5 5. 5.0 5.50 5.5.5 192.168.0.1 3.14.
1960s the 60s '60s 1960's 90 s 1 st 2 nd 3 rd 4 th 5 s 274th 32nd 1st 1 stop 5 sth
1 1s 1st 11 1.0 1.1 21 10 one ones one's 1's
007 0 00 000 0000 0 million 007 million 00 5 0 5
10 million, 10.5 million, 2.55 hundred, 12 hundred, 12 thousand, 5 hundred and 3, 100 twenty, 100 and 20, 5 5
3 hundreds, 5 millions, 2 thousandth, 1.5 millions, 1.2345 thousands, zero hundreds, oh hundreds
a1b2c3 mp3 h2o 4x4 covid19 b2b 2nd3rd r2d2 v1.0 iphone7 3g 5g 4k
12:30 pm, 5:00, 9 a.m., 10 p.m., half past ten, ten thirty, nine o'clock, seven forty five
1/2 ½ ¼ 3/4 2² x³ ① ❶ Ⅷ № ℃ ™ © ®
January first, the fourth of July, March 31st, 2024-01-15, 15/01/2024, the thirty-first of March
twenty-five thousand, twenty- five, twenty -five, twenty–five, twenty—five
naïve café résumé Zoë façade coöperate Ångström über œuvre Æsop smørrebrød straße Đorđe þing Łódź ẞ Ð Þ Ł Œ
e\u0301a\u0308 o\u0302\u0323 \u1e69 ﬁne ﬂy Ⓐ ａｂｃ １２３ Ｋ
日本語 русский 中文 한국어 العربية हिन्दी ไทย
“quoted” ‘single’ it’s don’t — – … • · « » ¿ ¡ „ ‚ ′ ″
a_b _x_ __ N_E_Z_ under_score
a\u200bb c\u200dd e\ufeff f\u00a0g h\u3000i j\u2028k l\u0085m n\tb o\x1cp
a & b @ c # d * e ^ f ~ g ` h | i \\ j / k + l = m < n > o
http://example.org/a?b=c&d=e foo@bar.com #tag @user 😀 👍🏽 ❤️ ☎ ♥
end. end.. end... end.5 5.end e.g. i.e. U.S.A. p.m. Ph.D. vs.
the point is, at this point five people, point to point, point hundred, five point hundred, point dollars, five point dollars
dollars five, cents, euros and pounds, cent per cent, five cents per dollar, per cent
ten second delay, a second opinion, third party, first and second, twenty seconds, one second, two thirds
oh my god, oh no, oh five, oh oh seven, o one, so o so, five o clock, five oh
one one one, one two hundred, two one hundred, ten ten, ten one, eleven one, one eleven, twenty eleven, twenty one eleven
hundred hundred, thousand hundred, hundred thousand, thousand thousand, million million, hundred thousand million
two hundred thousand, two hundred thousand three hundred, two thousand three thousand, two million three thousand four
five hundred twenty one two, one hundred one two, one hundred ten two, one hundred ten twenty, one hundred twenty twenty
one hundred eleventh, one hundred and first, two thousand third, five first, five five fifth, nineteen ninety ninth
twenty oh, twenty oh five, twenty hundred, twenty thousand, ninety nine hundred, ninety nine point nine percent
12345678901234567890123456789012345678901234567890 thousand, 99999999999999999999999999999999999999999 hundred five
I want 3 of them, or 4... maybe 5? No: 6! (7) [8] {9} <10>
She said, "It's $3,000.50 for the 2nd one, isn't it?" 'Yes', I said.
   leading and trailing   
%
$
.
-
'
one
1
"""

NUMBER_WORDS = (
    "one two three five eight ten twelve fifteen twenty forty ninety hundred thousand million zero oh and and point double "
    "triple first third twentieth hundredth tens twenties hundreds dollars cents pounds percent per cent minus plus 5 07 "
    "12 100 2.5 3.0 $4 ¢6 the half a of"
).split()


def number_texts(count):
    chance = random.Random(13)
    return [" ".join(chance.choices(NUMBER_WORDS, k=chance.randint(2, 9))) for _ in range(count)]


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def wide_texts(folder):
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".jsonl":
            for line in path.read_text("utf-8").splitlines():
                yield from strings(json.loads(line))
        elif path.suffix == ".tsv":
            with path.open(encoding="utf-8", newline="") as file:
                for row in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
                    yield from row
    yield from number_texts(50000)


def write(path, rows):
    count = 0
    with path.open("w", encoding="utf-8", newline="\n") as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    print(f"{path}: {count} lines", file=sys.stderr)


def normalized(texts):
    normalizer = EnglishTextNormalizer()
    for text in dict.fromkeys(texts):
        yield [text, normalizer(text)]


def error_counts(count):
    chance = random.Random(13)
    for _ in range(count):
        letters = "abcdefgh"[: chance.randint(1, 8)]
        reference = chance.choices(letters, k=chance.randint(0, 14))
        hypothesis = [w for w in reference if chance.random() > 0.2]
        for _ in range(chance.randint(0, 5)):
            hypothesis.insert(chance.randint(0, len(hypothesis)), chance.choice(letters))
        texts = " ".join(reference), " ".join(hypothesis)
        found = jiwer.process_words(*texts)
        yield [*texts, found.hits, found.substitutions, found.deletions, found.insertions]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wide", nargs=2, type=pathlib.Path, metavar=("FOLDER", "OUT"))
    arguments = parser.parse_args()
    if arguments.wide:
        folder, out = arguments.wide
        write(out, normalized(wide_texts(folder)))
        return
    DATA.mkdir(parents=True, exist_ok=True)
    lines = TEXTS[1:-1].split("\n")
    clauses = [part.strip() for line in lines for part in line.split(", ")]
    write(DATA / "normalizer.jsonl", normalized(lines + clauses + number_texts(250)))
    write(DATA / "wer.jsonl", error_counts(300))


if __name__ == "__main__":
    main()
