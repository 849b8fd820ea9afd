internal import Base
internal import Engine
internal import Service

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// The built-in model for others, in the shape of OpenAI's embeddings endpoint, so that its clients work with another base URL.
extension RouteTable {
    private enum Embedding {
        static let input = Field.embeddingInputs(
            "input", "What is embedded: a text, or its cl100k tokens, or a list of either; the model reads the first 256 word pieces of each")
        static let model = Field.optionalText("model", "Accepted and ignored: the answer names the built-in model")
        static let format = Field.word("encoding_format", of: ["float", "base64"], default: "float", "Numbers, or little-endian float32 in base64")
        static let dimensions = Field.optionalInteger("dimensions", min: 1, max: 65_535, "Only the model's own number of dimensions")
        static let user = Field.optionalText("user", "Accepted and ignored")
        static let shapes = [input.shape, model.shape, format.shape, dimensions.shape, user.shape]
    }

    static let embeddingRoutes: [Route] = [
        Route(
            "POST", "/embeddings", bases: .current, action: .embed, group: "Query", "Vectors of texts, as OpenAI answers them",
            body: .object(Embedding.shapes),
            #"""
            {"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.0421,-0.0113]}],"model":"MiniLM-L6-H384-uncased@be3ef80ecbb9208e",
            "usage":{"prompt_tokens":3,"total_tokens":3}}
            """#
        ) { call in
            let answer = try await call.operations.embed(call.body[Embedding.input], by: call.caller)
            if let wanted = call.body[Embedding.dimensions], let dimension = answer.vectors.first?.count, wanted != dimension {
                throw ContexError.invalid(
                    field: Embedding.dimensions.shape.name, kind: "value_error",
                    message: "Value error, the built-in model has \(dimension) dimensions, others cannot be had")
            }
            let inBase64 = call.body[Embedding.format] == "base64"
            let data = answer.vectors.enumerated().map { place, vector -> JSONValue in
                [
                    "object": "embedding", "index": .integer(place),
                    "embedding": inBase64 ? .string(base64(vector)) : .array(vector.map { .number(JSONNumber(uncheckedText: "\($0)")) }),
                ]
            }
            return .json([
                "object": "list", "data": .array(data), "model": .string(answer.model),
                "usage": ["prompt_tokens": .integer(answer.tokens), "total_tokens": .integer(answer.tokens)],
            ])
        }
    ]

    private static func base64(_ vector: [Float]) -> String {
        var bytes = Data(capacity: 4 * vector.count)
        for number in vector {
            let bits = number.bitPattern
            for shift: UInt32 in [0, 8, 16, 24] { bytes.append(UInt8(truncatingIfNeeded: bits >> shift)) }
        }
        return bytes.base64EncodedString()
    }
}
