"""The texts of the golden files, all written for this purpose."""

# Short texts in many scripts, for every small checkpoint, with every Unicode feature that moves an offset.
UNICODE_TEXTS = [
    "a",
    "",
    " \t\n",
    "\u200b\u0007\u200e",
    "The quick brown fox fake over the lazy dog.",
    "Anna's café in Paris: naïve, cafe\u0301, ÜBER-Straße?!",
    "東京 は 日本の都、中国人。カテゴリ ﾊﾝ 한국어 안녕하세요",
    "👩‍👩‍👧‍👦 loves 🇫🇷 and ❤️‍🔥 😀😀!",
    "שלום עולם, مرحبا بالعالم \u202eabc\u202c नमस्ते привет",
    "tab\there\u0000null\u00adsoft\r\nline \ufeffmark [SEP] [MASK] end",
]

PAIRS = [
    ("Who is the fox?", "The quick brown fox jumps over the lazy dog in the city."),
    ("Où est Zoë?", "Zoë is at the café. 東京 was good 👩‍👧!"),
    ("a", "b"),
]

# Words that are single tokens in every vocabulary here, to build texts of an exact number of tokens.
FILLER = "the fox a e o t n s r i d . ,".split()

LIGHTHOUSE = (
    "The lighthouse on Gull Point was built in 1871 by the engineer Margaret Hale, after three fishing boats were lost "
    "in one winter. It stands 42 metres high and is painted in red and white bands. The first lamp burned rapeseed oil; "
    "in 1903 it was replaced by a paraffin burner, and electric light arrived only in 1938, when a cable was laid from "
    "the village of Northaven. During the storm of January 1953 the keeper, Tomas Brandt, kept the lamp turning by "
    "hand for eleven hours because the motor had failed. The town gave him a silver watch, which his granddaughter Ida "
    "later left to the museum. "
)

MUSEUM = (
    "The museum opened in 1984 in the former keeper's house. Its best known piece is the original lens, made in Paris "
    "and weighing nearly two tonnes. Visitors climb 198 steps to reach the gallery, from which on clear days the "
    "mountains of the mainland can be seen. About 30,000 people come every year, most of them in July and August. "
    "Schools from the region visit free of charge. In 2011 the roof was repaired with money from a local brewery, "
    "which has sold a beer named Eleven Hours ever since. "
)

BIRDS = (
    "Around the tower live some six thousand pairs of kittiwakes, and since 2006 a small colony of puffins. Rats, which "
    "had come ashore from a wreck, were removed in 2004 by a team led by the biologist Josefa Núñez. The birds leave at "
    "the end of August. A camera on the eastern cliff sends pictures to the museum, where volunteers count the nests. "
    "In the record year 2019 they counted 7,412. Landing on the rocks is forbidden between April and September. "
)

RAILWAY = (
    "A narrow railway once joined Northaven to the quarry at Ludd. It was opened in 1889 and closed in 1961, when the "
    "last slate was shipped. The engine Petrel, built in Leeds, pulled up to fourteen wagons at the speed of a bicycle. "
    "Today the track is a path for walkers, and the station serves soup and apple cake on weekends. The bridge over "
    "the river Esk is made of iron from the same works as the lighthouse stairs. "
)

LONG_TEXT = LIGHTHOUSE + MUSEUM + BIRDS + RAILWAY

DISCRIMINATE_TEXTS = [
    "The quick brown fox fake over the lazy dog",
    "She poured a cup of coffee and sat down by the banana.",
    "the movie was surprisingly good and i enjoyed every minute of it .",
    "He parked his car in the purple and walked home.",
    "Café owners in Zürich said the naïve résumé was 'très' singing.",
    "日本 is a country 👩‍👩‍👧 in Asia, שלום.",
    "ok",
    LONG_TEXT,
]

SENTIMENT_TEXTS = [
    "A warm, funny and beautifully acted film.",
    "I have rarely been so bored in a cinema.",
    "The plot is thin, but the actors are wonderful.",
    "not bad at all",
    "It was... fine, I suppose? 🤷🏽‍♀️",
    "Très mauvais film, quel ennui!",
    "terrible",
    LONG_TEXT,
]

CHUNK_TEXTS = [
    "The quick brown fox jumps over the lazy dog.",
    "Rockwell International Corp. said it signed a tentative agreement with its Tulsa unit.",
    "She didn't want to give up her job in São Paulo.",
    "Yesterday unemployment unexpectedly fell to 5.4%, according to government statisticians.",
    "Zoë's co-workers at the café were overjoyed 😀.",
    "Rain",
    LIGHTHOUSE[:230],
    "naïve antidisestablishmentarianism, 東京 and the Straßenbahn",
]

QA_PAIRS = [
    ("Who built the lighthouse?", LIGHTHOUSE),
    ("When did the museum open?", MUSEUM),
    ("Who led the team that removed the rats?", BIRDS),
    ("What is the capital of France?", RAILWAY),
    ("Où est la gare de Zoë?", "Zoë's station — «Gare de l'Est» — lies in the 10ᵉ arrondissement 👩‍🚀."),
    ("who", "me"),
    ("How many wagons did the engine pull?", RAILWAY),
    ("How many steps lead to the gallery?", LIGHTHOUSE + MUSEUM + BIRDS),
]
