#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// A file that a command is given, `-` for standard input.
enum InputFile {
    static func name(of file: String) -> String { file == "-" ? "standard input" : file }

    static func text(of file: String) throws(CommandFailure) -> String {
        let name = name(of: file)
        guard let data = file == "-" ? Terminal.input() : FileManager.default.contents(atPath: file).map({ [UInt8]($0) }) else {
            let exists = FileManager.default.fileExists(atPath: file)
            throw CommandFailure(exists ? .failed : .notFound, exists ? "\(name) cannot be read: check its permissions" : "there is no file \(name)")
        }
        guard let text = String(validating: data, as: UTF8.self) else {
            throw CommandFailure(.failed, "\(name) is no text in UTF-8: convert it first")
        }
        return text
    }
}
