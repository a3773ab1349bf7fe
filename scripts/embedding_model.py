"""Converts the sentence embedding model all-MiniLM-L6-v2 (BERT, 6 layers, 384 dimensions) to GGUF, and writes a reference.

Usage: `embedding_model.py FOLDER MODEL.gguf REFERENCE.json`. FOLDER has the model as published. Tensors and metadata are
named as llama.cpp reads them for the architecture `bert`. The reference has the embeddings that the published weights give
for some sentences, computed here by the published formulas (Devlin et al. 2018, BERT; mean pooling and unit length by
sentence-transformers) and the published tokenizer: independent of llama.cpp and of the conversion.
"""

import json
import math
import pathlib
import sys

import gguf
import numpy
from tokenizers import Tokenizer

SENTENCES = [
    "The cat sleeps on the sofa.",
    "A kitten is napping on the couch.",
    "The disk of the server is full.",
    "No space is left on the machine's hard drive.",
    "Grüezi, naïve café: unaffordable 2nd-hand prices!",
]
# Published names and those of llama.cpp, without the layer and `.weight` or `.bias`.
WHOLE = {
    "embeddings.word_embeddings": "token_embd",
    "embeddings.position_embeddings": "position_embd",
    "embeddings.token_type_embeddings": "token_types",
    "embeddings.LayerNorm": "token_embd_norm",
}
LAYER = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}
# Small tensors that are added to others: they keep their full precision.
EXACT = {"position_embd", "token_types"}
ERF = numpy.vectorize(math.erf)


def read_safetensors(path):
    """Reads the tensors of a file: eight bytes of length, a header in JSON, then the numbers."""
    data = path.read_bytes()
    begin = 8 + int.from_bytes(data[:8], "little")
    tensors = {}
    for name, about in json.loads(data[8:begin]).items():
        if about.get("dtype") == "F32":
            start, end = about["data_offsets"]
            numbers = numpy.frombuffer(data[begin + start : begin + end], numpy.float32)
            tensors[name] = numbers.reshape(about["shape"])
    return tensors


def names(layers):
    """Yields each published name with that of llama.cpp."""
    for published, ours in WHOLE.items():
        yield published, ours
    for layer in range(layers):
        for published, ours in LAYER.items():
            yield f"encoder.layer.{layer}.{published}", f"blk.{layer}.{ours}"


def add_vocabulary(writer, folder):
    """Adds the WordPiece vocabulary. llama.cpp marks the beginning of words instead of continuations (`##`)."""
    words = (folder / "vocab.txt").read_text().splitlines()
    special = {word for word in words if word.startswith("[") and word.endswith("]") and len(word) > 2}
    tokens, kinds = [], []
    for word in words:
        if word in special:
            tokens.append(word)
            kinds.append(gguf.TokenType.UNKNOWN if word == "[UNK]" else gguf.TokenType.CONTROL)
        else:
            tokens.append(word[2:] if word.startswith("##") else "\u2581" + word)
            kinds.append(gguf.TokenType.NORMAL)
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    writer.add_token_type_count(2)
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    at = words.index
    writer.add_bos_token_id(at("[CLS]"))
    writer.add_eos_token_id(at("[SEP]"))
    writer.add_sep_token_id(at("[SEP]"))
    writer.add_pad_token_id(at("[PAD]"))
    writer.add_unk_token_id(at("[UNK]"))
    writer.add_mask_token_id(at("[MASK]"))


def convert(folder, config, tensors, path):
    writer = gguf.GGUFWriter(path, "bert")
    writer.add_name("all-MiniLM-L6-v2")
    writer.add_license("apache-2.0")
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    add_vocabulary(writer, folder)
    for published, ours in names(config["num_hidden_layers"]):
        for part in ("weight", "bias"):
            tensor = tensors.get(f"{published}.{part}")
            if tensor is not None:
                halved = tensor.ndim == 2 and ours not in EXACT
                writer.add_tensor(f"{ours}.{part}", tensor.astype(numpy.float16 if halved else numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


class Bert:
    """Computes embeddings by the published formulas from the published weights."""

    def __init__(self, config, tensors):
        self.config, self.tensors = config, tensors

    def linear(self, name, x):
        return x @ self.tensors[f"{name}.weight"].T + self.tensors[f"{name}.bias"]

    def norm(self, name, x):
        centred = x - x.mean(-1, keepdims=True)
        scale = numpy.sqrt((centred**2).mean(-1, keepdims=True) + self.config["layer_norm_eps"])
        return centred / scale * self.tensors[f"{name}.weight"] + self.tensors[f"{name}.bias"]

    def attend(self, layer, x):
        heads = self.config["num_attention_heads"]
        split = lambda y: y.reshape(len(x), heads, -1).transpose(1, 0, 2)
        query, key, value = (split(self.linear(f"{layer}.attention.self.{name}", x)) for name in ("query", "key", "value"))
        scores = query @ key.transpose(0, 2, 1) / numpy.sqrt(query.shape[-1])
        weights = numpy.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        return self.linear(f"{layer}.attention.output.dense", (weights @ value).transpose(1, 0, 2).reshape(len(x), -1))

    def embed(self, ids):
        table = lambda name: self.tensors[f"embeddings.{name}_embeddings.weight"]
        x = table("word")[ids] + table("position")[: len(ids)] + table("token_type")[0]
        x = self.norm("embeddings.LayerNorm", x)
        for number in range(self.config["num_hidden_layers"]):
            layer = f"encoder.layer.{number}"
            x = self.norm(f"{layer}.attention.output.LayerNorm", x + self.attend(layer, x))
            wide = self.linear(f"{layer}.intermediate.dense", x)
            wide = wide * (1 + ERF(wide / numpy.sqrt(2))) / 2
            x = self.norm(f"{layer}.output.LayerNorm", x + self.linear(f"{layer}.output.dense", wide))
        mean = x.mean(0)
        return mean / numpy.linalg.norm(mean)


def main(folder, model, reference):
    folder = pathlib.Path(folder)
    config = json.loads((folder / "config.json").read_text())
    tensors = read_safetensors(folder / "model.safetensors")
    convert(folder, config, tensors, model)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    bert = Bert(config, tensors)
    expected = []
    for text in SENTENCES:
        ids = tokenizer.encode(text).ids
        expected.append({"text": text, "tokens": len(ids), "vector": [round(float(n), 6) for n in bert.embed(ids)]})
    pathlib.Path(reference).write_text(json.dumps(expected, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
