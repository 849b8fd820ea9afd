internal import Base
internal import Content

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// What a command was given to read: a file, standard input, a pipe, what a shell substitutes for a process.
enum InputFile {
    static func name(_ file: String) -> String { file == "-" ? "standard input" : file }

    /// - Parameter file: `-` for standard input.
    static func text(of file: String) throws(CommandFailure) -> String {
        let pieces = try InputPieces(file)
        var data: [UInt8] = []
        while true {
            let piece: [UInt8]
            do {
                piece = try pieces.next()
            } catch {
                throw CommandFailure(.failed, "\(name(file)): \(CommandFailure(error).message)")
            }
            if piece.isEmpty { break }
            guard data.count + piece.count <= Limits.bodyBytesMost else {
                throw CommandFailure(.failed, "\(name(file)) has more than \(Limits.bodyBytesMost) bytes, the most that any server takes")
            }
            data += piece
        }
        guard let text = String(validating: data, as: UTF8.self) else {
            throw CommandFailure(.failed, "\(name(file)) is no text in UTF-8: convert it first")
        }
        return text
    }

    static func unreadable(_ file: String) -> CommandFailure {
        let exists = file == "-" || FileManager.default.fileExists(atPath: file)
        return CommandFailure(exists ? .failed : .notFound, exists ? "\(name(file)) cannot be read: check its permissions" : "there is no file \(file)")
    }

    /// A vector: a JSON list of numbers, as it is sent on.
    static func vector(of file: String) throws(CommandFailure) -> JSONValue {
        let text = try text(of: file)
        guard let value = try? JSONParser.parse(text: text), let items = value.arrayValue, items.allSatisfy({ $0.doubleValue != nil }) else {
            throw CommandFailure(.failed, "\(name(file)) is no vector: a JSON list of numbers is expected, [0.1, -0.2, ...]")
        }
        return value
    }
}
