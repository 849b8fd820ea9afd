public import ArgumentParser
internal import Base
internal import Content

/// A JSON object on the command line.
public struct JSONOption: ExpressibleByArgument {
    let object: JSONObject

    public init?(argument: String) {
        guard case .object(let object)? = try? JSONParser.parse(text: argument) else { return nil }
        self.object = object
    }
}
