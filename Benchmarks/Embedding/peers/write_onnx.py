"""Writes the sentence model as ONNX, in float32 and in dynamic int8, from the safetensors file.

The graph is made of onnxruntime's own fused operators (com.microsoft: EmbedLayerNormalization, Attention, BiasGelu,
SkipLayerNormalization), which is what its optimizer makes of an exported model at best. Pooling and normalising are in the graph.
"""
import json
import os
import sys

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper


def tensors(path):
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        data = file.read()
    return {
        name: numpy.frombuffer(data[slice(*entry["data_offsets"])], numpy.float32).reshape(entry["shape"])
        for name, entry in header.items() if entry.get("dtype") == "F32"
    }


def build(folder):
    weights = tensors(os.path.join(folder, "model.safetensors"))
    with open(os.path.join(folder, "config.json")) as file:
        config = json.load(file)
    epsilon = config["layer_norm_eps"]
    initializers, nodes = [], []

    def constant(name, value):
        initializers.append(numpy_helper.from_array(numpy.ascontiguousarray(value), name))
        return name

    def weight(name):
        return constant(name, weights[name])

    def node(kind, inputs, outputs, domain="com.microsoft", **attributes):
        nodes.append(helper.make_node(kind, inputs, outputs, domain=domain, **attributes))

    node("EmbedLayerNormalization",
         ["input_ids", "types", weight("embeddings.word_embeddings.weight"), weight("embeddings.position_embeddings.weight"),
          weight("embeddings.token_type_embeddings.weight"), weight("embeddings.LayerNorm.weight"), weight("embeddings.LayerNorm.bias"),
          "mask"], ["hidden", "lengths"], epsilon=epsilon)
    hidden = "hidden"
    for layer in range(config["num_hidden_layers"]):
        prefix = f"encoder.layer.{layer}."

        def product(name, a):
            node("MatMul", [a, constant(prefix + name + ".t", weights[prefix + name + ".weight"].T)], [prefix + name], domain="")
            return prefix + name

        def normal(a, skip, norm, bias, to):
            node("SkipLayerNormalization",
                 [a, skip, weight(prefix + norm + ".weight"), weight(prefix + norm + ".bias"), weight(prefix + bias + ".bias")], [to],
                 epsilon=epsilon)
            return to

        parts = [prefix + "attention.self." + part for part in ("query", "key", "value")]
        node("Attention",
             [hidden, constant(prefix + "qkv", numpy.concatenate([weights[part + ".weight"].T for part in parts], axis=1)),
              constant(prefix + "qkv.bias", numpy.concatenate([weights[part + ".bias"] for part in parts])), "lengths"],
             [prefix + "context"], num_heads=config["num_attention_heads"])
        mixed = normal(product("attention.output.dense", prefix + "context"), hidden, "attention.output.LayerNorm",
                       "attention.output.dense", prefix + "mixed")
        node("BiasGelu", [product("intermediate.dense", mixed), weight(prefix + "intermediate.dense.bias")], [prefix + "wide"])
        hidden = normal(product("output.dense", prefix + "wide"), mixed, "output.LayerNorm", "output.dense", prefix + "out")
    # Mean over the tokens that are not padding, at unit length.
    constant("last", numpy.array([2], numpy.int64))
    constant("one", numpy.array([1], numpy.int64))
    node("Cast", ["mask"], ["mask.float"], domain="", to=TensorProto.FLOAT)
    node("Unsqueeze", ["mask.float", "last"], ["mask.column"], domain="")
    node("Mul", [hidden, "mask.column"], ["masked"], domain="")
    node("ReduceSum", ["masked", "one"], ["sums"], domain="", keepdims=0)
    node("LpNormalization", ["sums"], ["vectors"], domain="", axis=1, p=2)
    integers = lambda name: helper.make_tensor_value_info(name, TensorProto.INT32, ["batch", "tokens"])
    graph = helper.make_graph(
        nodes, "sentence-model", [integers("input_ids"), integers("types"), integers("mask")],
        [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["batch", config["hidden_size"]])], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)])
    model.ir_version = 8
    return model


def main(folder, target):
    from onnxruntime.quantization import QuantType, quantize_dynamic

    os.makedirs(target, exist_ok=True)
    whole = os.path.join(target, "model.onnx")
    onnx.save(build(folder), whole)
    quantize_dynamic(whole, os.path.join(target, "model-int8.onnx"), weight_type=QuantType.QInt8, per_channel=True,
                     extra_options={"DefaultTensorType": TensorProto.FLOAT})


if __name__ == "__main__":
    main(*sys.argv[1:])
