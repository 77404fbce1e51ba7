"""The texts on which contenders must agree before they are measured; of several lengths, so that batches are padded."""

TEXTS = [
    "A warm, funny and wonderfully acted film.",
    "The plot never goes anywhere.",
    "Rain is expected in the north tomorrow.",
    "Dull.",
    "I would not watch it twice, but once was a pleasure.",
    "Who wrote the letter that was found a century later in the attic of a school in Wales?",
    "The quick brown fox jumps over the lazy dog, again and again, until the dog gets up and walks away to a quieter "
    "place, far from foxes, where nobody has ever heard of pangrams and the grass is long enough to hide in.",
    "Yes",
]
