#!/usr/bin/env python3
"""Writes the corpora and the models of the fuzz targets, into corpus/ and models/ beside this file.

Needs only Python. The packed graph comes from `electra export`, whose program ELECTRA_BINARY names.
Files that were found by fuzzing are added by hand, with names that begin with `found-`, and are left alone.
"""

import io
import json
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile
import zipfile

HERE = pathlib.Path(__file__).parent
CORPUS = HERE / "corpus"
MODELS = HERE / "models"

WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] the fox ##es fake good over answer ? a é 東".split()


def save(target, name, content):
    path = CORPUS / target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


# Protocol Buffers: a message is a list of (number, value) pairs.


def varint(number):
    number &= (1 << 64) - 1
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def message(*fields):
    out = b""
    for number, value in fields:
        if isinstance(value, bool | int):
            out += varint(number << 3) + varint(int(value))
        elif isinstance(value, float):
            out += varint(number << 3 | 5) + struct.pack("<f", value)
        else:
            value = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(value)) + value
    return out


# Requests.


def requests():
    # The first byte selects the task: its value modulo four. Capital letters select the pipeline.
    discriminate, classify, tag, qa = "d", "e", "f", "g"
    native = {
        "discriminate": (discriminate, {"text": "the fake foxes", "threshold": 0.5, "level": "word", "offsets": "utf16"}),
        "discriminate-many": (discriminate, {"text": ["the fake", "", "é東"], "model": "model"}),
        "classify": (classify, {"text": ["good", "a fox"], "top_k": 1, "function": "sigmoid", "truncate": True}),
        "classify-pairs": (classify, {"text": [["good", "fox"], {"text": "a", "text_pair": "good"}]}),
        "tag": (tag, {"text": "the foxes over the fox", "aggregation": "simple", "offsets": "utf8"}),
        "tag-many": (tag, {"text": ["foxes", "a" * 40 + " foxes"], "aggregation": "none"}),
        "qa": (qa, {"question": "the fox ?", "context": "the answer over the fox", "top_k": 3, "no_answer": True}),
        "qa-items": (
            qa,
            {
                "items": [{"question": "a ?", "context": "answer " * 12}],
                "max_answer_tokens": 3,
                "stride": 2,
                "offsets": "codepoint",
            },
        ),
    }
    pipelines = {
        "pipeline-classify": (
            classify,
            {
                "inputs": ["good", {"text": "a", "text_pair": "good"}, [["a", "good"]]],
                "parameters": {"top_k": 2, "function_to_apply": "softmax", "truncation": True, "max_length": 8},
                "options": {"use_cache": False, "wait_for_model": True},
            },
        ),
        "pipeline-tag": (
            tag,
            {
                "inputs": ["the foxes", "fox"],
                "parameters": {"aggregation_strategy": "first", "stride": 1, "ignore_labels": ["O"]},
            },
        ),
        "pipeline-qa": (
            qa,
            {
                "inputs": {"question": ["a ?", "the ?"], "context": "the answer over the fox " * 3},
                "parameters": {
                    "top_k": 3,
                    "doc_stride": 2,
                    "max_answer_len": 5,
                    "max_seq_len": 12,
                    "max_question_len": 4,
                    "handle_impossible_answer": True,
                    "align_to_words": False,
                },
            },
        ),
    }
    for name, (letter, body) in native.items():
        save("json", name, letter + json.dumps(body, ensure_ascii=False))
    for name, (letter, body) in pipelines.items():
        save("json", name, letter.upper() + json.dumps(body, ensure_ascii=False))

    def tensor(name, kind, shape, **rest):
        return {"name": name, "datatype": kind, "shape": shape, **rest}

    texts = {
        "discriminate": (discriminate, [tensor("text", "BYTES", [2, 1], data=["the fake", "fox"])]),
        "classify": (
            classify,
            [tensor("text", "BYTES", [1], data=["good"]), tensor("text_pair", "BYTES", [1], data=["a"])],
        ),
        "tag": (tag, [tensor("text", "BYTES", [2], data=[["foxes"], ["a"]])]),
        "qa": (
            qa,
            [
                tensor("question", "BYTES", [1], data=["a ?"]),
                tensor("context", "BYTES", [1], data=["the answer " * 8]),
            ],
        ),
        "ids": (
            tag,
            [
                tensor("input_ids", "INT64", [2, 3], data=[[2, 6, 3], [2, 3, 0]]),
                tensor("attention_mask", "INT32", [2, 3], data=[1, 1, 1, 1, 1, 0]),
                tensor("token_type_ids", "INT64", [2, 3], data=[0] * 6),
            ],
        ),
        "packed": (
            qa,
            [
                tensor("input_ids", "INT64", [5], data=[2, 11, 3, 2, 3]),
                tensor("position_ids", "INT64", [5], data=[0, 1, 2, 0, 1]),
                tensor("sequence_starts", "INT64", [3], data=[0, 3, 5]),
            ],
        ),
        "other": (discriminate, [tensor("x", "FP32", [2], data=[0.5, 1e30]), tensor("y", "BOOL", [1], data=[True])]),
    }
    for name, (letter, inputs) in texts.items():
        body = {"id": "1", "inputs": inputs, "outputs": [{"name": "result"}], "parameters": {"top_k": 1}}
        if name != "discriminate":
            del body["outputs"], body["parameters"]
        save("oip-json", name, letter + json.dumps(body, ensure_ascii=False))
        kinds = {"INT64": "q", "INT32": "i", "FP32": "f", "BOOL": "?"}
        binary = b""
        for given in inputs:
            values = given.pop("data")
            values = [v for row in values for v in (row if isinstance(row, list) else [row])]
            if given["datatype"] == "BYTES":
                raw = b"".join(struct.pack("<I", len(v.encode())) + v.encode() for v in values)
            else:
                raw = struct.pack(f"<{len(values)}{kinds[given['datatype']]}", *values)
            given["parameters"] = {"binary_data_size": len(raw)}
            binary += raw
        body = {"inputs": inputs, "parameters": {"binary_data_output": True}}
        text = json.dumps(body).encode()
        save("oip-binary", name, letter.encode() + struct.pack("<H", len(text)) + text + binary)

    grpc = {
        "discriminate": (discriminate, message((1, "the fake"), (1, "fox"), (2, "model"), (3, 0.5), (4, 2), (5, 3))),
        "classify": (classify, message((1, "good"), (2, "a"), (4, 1), (5, 2), (6, True))),
        "tag": (tag, message((1, "foxes over"), (3, 2), (4, 2))),
        "qa": (qa, message((1, "a ?"), (2, "the answer"), (5, 3), (6, True), (7, 4), (8, 2), (9, 1))),
        "qa-items": (qa, message((3, message((1, "a ?"), (2, "answer " * 12))), (5, 2))),
    }
    for name, (letter, body) in grpc.items():
        save("grpc", name, letter.encode() + body)

    def grpc_input(name, kind, shape, *contents):
        shape = b"".join(map(varint, shape))
        return (5, message((1, name), (2, kind), (3, shape), *contents))

    infer = {
        "text": (tag, message((1, "model"), grpc_input("text", "BYTES", [1], (5, message((8, "foxes")))))),
        "raw": (
            classify,
            message((1, "model"), grpc_input("text", "BYTES", [1, 1]), (7, struct.pack("<I", 4) + b"good")),
        ),
        "ids": (
            discriminate,
            message(
                (1, "model"),
                (4, message((1, "top_k"), (2, message((2, 1))))),
                grpc_input("input_ids", "INT64", [1, 3], (5, message((3, bytes([2, 8, 3]))))),
                (6, message((1, "logits"))),
            ),
        ),
    }
    for name, (letter, body) in infer.items():
        save("grpc", f"infer-{name}", bytes([ord(letter) | 0x80]) + body)


# Files of models.

SIZES = {"vocab_size": 16, "embedding_size": 4, "hidden_size": 4, "intermediate_size": 4, "max_position_embeddings": 8}
CONFIG = {
    "architectures": ["ElectraForPreTraining"],
    "model_type": "electra",
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
    "type_vocab_size": 2,
    "position_embedding_type": "absolute",
    **SIZES,
}
LABELLED = {
    **CONFIG,
    "architectures": ["ElectraForTokenClassification"],
    "id2label": {"0": "O", "1": "B-X", "2": None},
    "label2id": {"O": 0, "B-X": 1},
    "num_labels": 3,
    "problem_type": "single_label_classification",
    "pruned_heads": {"0": [1]},
    "summary_activation": "tanh",
}


def tensors():
    """The tensors of a discriminator: names and shapes."""
    yield "electra.embeddings.word_embeddings.weight", [16, 4]
    yield "electra.embeddings.position_embeddings.weight", [8, 4]
    yield "electra.embeddings.token_type_embeddings.weight", [2, 4]
    layer = "electra.encoder.layer.0."
    for norm in ["electra.embeddings.LayerNorm", layer + "attention.output.LayerNorm", layer + "output.LayerNorm"]:
        yield norm + ".weight", [4]
        yield norm + ".bias", [4]
    linear = ["query", "key", "value"]
    linear = [layer + "attention.self." + name for name in linear]
    linear += [layer + name for name in ["attention.output.dense", "intermediate.dense", "output.dense"]]
    for name in [*linear, "discriminator_predictions.dense"]:
        yield name + ".weight", [4, 4]
        yield name + ".bias", [4]
    yield "discriminator_predictions.dense_prediction.weight", [1, 4]
    yield "discriminator_predictions.dense_prediction.bias", [1]


def count(shape):
    total = 1
    for size in shape:
        total *= size
    return total


def values(number):
    return [((7 * index) % 11 - 5) / 8 for index in range(number)]


def safetensors(table, kind="F32", width=4):
    header, offset = {}, 0
    for name, shape in table:
        size = count(shape) * width
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    form = {4: "f", 2: "e", 8: "d"}[width]
    numbers = values(offset // width)
    return struct.pack("<Q", len(text)) + text + struct.pack(f"<{len(numbers)}{form}", *numbers)


def pickled(table, protocol=2):
    """A state dict as torch.save writes it: each tensor refers to a storage by key."""

    def text(value):
        return b"X" + struct.pack("<I", len(value)) + value.encode()

    def integer(value):
        return b"J" + struct.pack("<i", value)

    def numbers(sizes):
        return b"(" + b"".join(map(integer, sizes)) + b"t"

    out = bytes([0x80, protocol]) + b"ccollections\nOrderedDict\n)R("
    for key, (name, shape) in enumerate(table):
        strides = [count(shape[index + 1 :]) for index in range(len(shape))]
        storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(str(key)) + text("cpu")
        storage += integer(count(shape)) + b"tQ"
        hooks = b"ccollections\nOrderedDict\n)R"
        out += text(name) + b"ctorch._utils\n_rebuild_tensor_v2\n("
        out += storage + integer(0) + numbers(shape) + numbers(strides) + b"\x89" + hooks + b"tR"
    return out + b"u."


def torch_zip(table):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        files = {"data.pkl": pickled(table), "byteorder": b"little", "version": b"3\n"}
        for key, (_, shape) in enumerate(table):
            numbers = values(count(shape))
            files[f"data/{key}"] = struct.pack(f"<{len(numbers)}f", *numbers)
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo("m/" + name, (1980, 1, 1, 0, 0, 0)), content)
    return out.getvalue()


def torch_legacy(table):
    def text(value):
        return b"X" + struct.pack("<I", len(value)) + value.encode()

    magic = b"\x80\x02\x8a\x0a" + (0x1950A86A20F9469CFC6C).to_bytes(10, "little") + b"."
    version = b"\x80\x02M\xe9\x03."
    machine = b"\x80\x02}(" + text("protocol_version") + b"M\xe9\x03" + text("little_endian") + b"\x88"
    machine += text("type_sizes") + b"}(" + text("int") + b"K\x04uu."
    # Older storages have a sixth field, for views.
    state = pickled(table).replace(b"tQ", b"NtQ")
    keys = b"\x80\x02](" + b"".join(text(str(key)) for key in range(len(table))) + b"e."
    out = magic + version + machine + state + keys
    for _, shape in table:
        numbers = values(count(shape))
        out += struct.pack(f"<q{len(numbers)}f", len(numbers), *numbers)
    return out


def added(token, index):
    flags = dict.fromkeys(["single_word", "lstrip", "rstrip", "normalized"], False)
    return {"id": index, "content": token, **flags, "special": True}


def template(parts):
    pieces = {"C": "[CLS]", "S": "[SEP]"}
    out = []
    for part, kind in parts:
        name = "SpecialToken" if part in pieces else "Sequence"
        out.append({name: {"id": pieces.get(part, part), "type_id": kind}})
    return out


TOKENIZER = {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": [added(token, index) for index, token in enumerate(WORDS[:5])],
    "normalizer": {
        "type": "BertNormalizer",
        "clean_text": True,
        "handle_chinese_chars": True,
        "strip_accents": None,
        "lowercase": True,
    },
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "post_processor": {
        "type": "TemplateProcessing",
        "single": template([("C", 0), ("A", 0), ("S", 0)]),
        "pair": template([("C", 0), ("A", 0), ("S", 0), ("B", 1), ("S", 1)]),
        "special_tokens": {
            token: {"id": token, "ids": [WORDS.index(token)], "tokens": [token]} for token in ["[CLS]", "[SEP]"]
        },
    },
    "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
    "model": {
        "type": "WordPiece",
        "unk_token": "[UNK]",
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100,
        "vocab": {token: index for index, token in enumerate(WORDS)},
    },
}
# Every kind of part, as other tokenizers than BERT's have them.
OTHER_TOKENIZER = {
    **TOKENIZER,
    "normalizer": {
        "type": "Sequence",
        "normalizers": [
            {"type": "NFKC"},
            {"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "},
            {"type": "Prepend", "prepend": "a"},
            {"type": "Strip", "strip_left": True, "strip_right": True},
            {"type": "StripAccents"},
            {"type": "Lowercase"},
        ],
    },
    "pre_tokenizer": {
        "type": "Sequence",
        "pretokenizers": [
            {"type": "WhitespaceSplit"},
            {"type": "Punctuation", "behavior": "Isolated"},
            {"type": "Digits", "individual_digits": True},
            {"type": "Split", "pattern": {"String": "x"}, "behavior": "Removed", "invert": False},
            {"type": "Metaspace", "replacement": "_", "prepend_scheme": "always", "split": True},
        ],
    },
    "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
    "decoder": {"type": "Sequence", "decoders": [{"type": "Fuse"}, {"type": "Replace", "pattern": {"String": "a"}, "content": "b"}]},
    "model": {
        "type": "BPE",
        "dropout": None,
        "unk_token": "[UNK]",
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": {**{token: index for index, token in enumerate(WORDS)}, "f": 16, "o": 17, "fo": 18},
        "merges": [["f", "o"]],
    },
}
UNIGRAM = {
    **TOKENIZER,
    "normalizer": {"type": "NFC"},
    "pre_tokenizer": {"type": "Whitespace"},
    "post_processor": {
        "type": "RobertaProcessing",
        "sep": ["[SEP]", 3],
        "cls": ["[CLS]", 2],
        "trim_offsets": True,
        "add_prefix_space": False,
    },
    "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
    "model": {"type": "Unigram", "unk_id": 1, "byte_fallback": False, "vocab": [[token, -1.5] for token in WORDS]},
}
TOKENIZER_CONFIG = {
    "tokenizer_class": "ElectraTokenizer",
    "do_lower_case": True,
    "strip_accents": None,
    "tokenize_chinese_chars": True,
    "model_max_length": 8,
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "unk_token": {"content": "[UNK]", "lstrip": False, "special": True},
    "added_tokens_decoder": {"16": {"content": "<x>", "special": False, "normalized": True}},
    "split_special_tokens": False,
}


def tokenizer_text(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# Graphs.


def value_info(name, kind, *sizes):
    dims = [(1, message((2, size) if isinstance(size, str) else (1, size))) for size in sizes]
    return message((1, name), (2, message((1, message((1, kind), (2, message(*dims)))))))


def onnx(weights, operator="Gather", name="logits"):
    """Looks up one row of logits for each token."""
    node = message((1, "rows"), (1, "input_ids"), (2, name), (4, operator))
    graph = message(
        (1, node),
        (2, "graph"),
        (5, weights),
        (11, value_info("input_ids", 7, "sequences", "longest")),
        (11, value_info("attention_mask", 7, "sequences", "longest")),
        (12, value_info(name, 1, "sequences", "longest", 3)),
    )
    return message((1, 8), (2, "fuzz"), (7, graph), (8, message((1, ""), (2, 14))))


def rows(*data, size=96, kind=1):
    return message((1, size), (1, 3), (2, kind), (8, "rows"), *data)


def graphs():
    raw = struct.pack("<288f", *values(288))
    external = [("location", "model.onnx.data"), ("offset", "0"), ("length", str(len(raw)))]
    external = [(13, message((1, key), (2, value))) for key, value in external]
    files = {
        "contained": onnx(rows((9, raw))),
        "small": onnx(rows((9, raw[:192]), size=16)),
        "external": onnx(rows(*external, (14, 1))),
        "other-output": onnx(rows((9, raw)), name="last_hidden_state"),
    }
    for name, content in files.items():
        save("onnx", name, content)
        save("graph", name, content)
    folder = MODELS / "graph"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "model.onnx.data").write_bytes(raw)


def exported():
    """Adds the packed graph of the checkpoint."""
    program = os.environ.get("ELECTRA_BINARY")
    if not program:
        return
    with tempfile.TemporaryDirectory() as output:
        command = [program, "export", MODELS / "checkpoint", "--output", output, "--precision", "fp32"]
        subprocess.run(command, check=True)
        shutil.copy(pathlib.Path(output) / "model.onnx", CORPUS / "onnx" / "packed")
        shutil.copy(pathlib.Path(output) / "model.onnx", CORPUS / "graph" / "packed")
        shutil.copy(pathlib.Path(output) / "model.onnx.data", MODELS / "graph" / "model.onnx.data")


def models():
    table = list(tensors())
    short = [("electra.a.weight", [2, 3]), ("b", [4]), ("module.c", [])]
    save("config", "discriminator", json.dumps(CONFIG))
    save("config", "labelled", json.dumps(LABELLED))
    save("config", "empty", "{}")
    save("config", "unusual", json.dumps({**CONFIG, "hidden_act": "relu", "is_decoder": False, "dtype": "float16"}))
    save("tokenizer", "wordpiece", tokenizer_text(TOKENIZER))
    save("tokenizer", "bpe", tokenizer_text(OTHER_TOKENIZER))
    save("tokenizer", "unigram", tokenizer_text(UNIGRAM))
    save("tokenizer", "vocabulary", "\n".join(WORDS) + "\n")
    for name, kind, width in [("fp32", "F32", 4), ("fp16", "F16", 2), ("bf16", "BF16", 2), ("fp64", "F64", 8)]:
        save("safetensors", name, safetensors(short, kind, width))
    save("torch", "zip", torch_zip(short))
    save("torch", "legacy", torch_legacy(short))
    save("checkpoint", "config", "c" + json.dumps(CONFIG))
    save("checkpoint", "labelled", "c" + json.dumps(LABELLED))
    save("checkpoint", "tokenizer", "t" + tokenizer_text(TOKENIZER))
    save("checkpoint", "settings", "g" + tokenizer_text(TOKENIZER_CONFIG))
    save("checkpoint", "special", "m" + json.dumps({"cls_token": "[CLS]", "unk_token": {"content": "[UNK]"}}))
    save("checkpoint", "added", "a" + json.dumps({"<y>": 16}))
    shard = {name: "shard.safetensors" for name, _ in table}
    save("checkpoint", "index", "i" + json.dumps({"metadata": {"total_size": 1000}, "weight_map": shard}))
    save("checkpoint", "adapter", "l" + json.dumps({"peft_type": "LORA", "base_model_name_or_path": "a/b"}))
    save("checkpoint", "safetensors", b"s" + safetensors(table))
    save("checkpoint", "torch", b"b" + torch_zip(table))
    folder = MODELS / "checkpoint"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "model.safetensors").write_bytes(safetensors(table))
    (folder / "tokenizer.json").write_text(tokenizer_text(TOKENIZER))
    save(
        "toml",
        "model",
        """aliases = ["answers-stable"]
route = true
task = "classify"
labels = ["bad", "good"]
precision = "int8"
graph = "model_int8.onnx"
versions = { latest = 2 }

[limits]
max_tokens = 256
max_items = 8
queue_capacity = 200
batch_tokens = 64

[defaults]
no_answer = true
top_k = 3
stride = 2
""",
    )
    save(
        "toml",
        "server",
        """http = "127.0.0.1:8080"
models = "models"
preload = ["a", "b"]
allow_origins = ["https://example.org"]
trusted_proxies = ["10.0.0.0/8"]
workers = 2
max_queue_ms = 1000
load_timeout_ms = 300000
log_format = "json"
log_filter = "info,electra=debug"
device = "cpu"
poll_interval_s = 5
""",
    )


requests()
models()
graphs()
exported()
