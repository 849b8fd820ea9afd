// What redis-server answered, word for word.
import Foundation
import RESP
import TestSupport
import Testing

/// The escapes of the golden files: \r \n \\ \s \e \xHH.
func unescaped(_ text: some StringProtocol) -> [UInt8] {
    var bytes: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
        guard byte == UInt8(ascii: "\\"), let next = rest.popFirst() else {
            bytes.append(byte)
            continue
        }
        switch next {
        case UInt8(ascii: "r"): bytes.append(0x0D)
        case UInt8(ascii: "n"): bytes.append(0x0A)
        case UInt8(ascii: "s"): bytes.append(0x20)
        case UInt8(ascii: "e"): break
        case UInt8(ascii: "x"):
            bytes.append(UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)!)
            rest = rest.dropFirst(2)
        default: bytes.append(next)
        }
    }
    return bytes
}

func goldenLines(_ file: String) throws -> [String] {
    let url = TestData.checkout.appendingPathComponent("Tests/Golden/resp/\(file)")
    let text = String(decoding: try Data(contentsOf: url), as: UTF8.self)
    return text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
}

struct Dialogue: Sendable {
    enum Step: Sendable {
        case send([UInt8])
        case publish([UInt8], [UInt8])
    }
    var name: String
    var password: [UInt8]?
    var steps: [(line: String, step: Step, answer: [UInt8], closes: Bool)] = []

    static func all() throws -> [Dialogue] {
        var dialogues: [Dialogue] = []
        var open: (line: String, step: Step)?
        for line in try goldenLines("dialogues.txt") where !line.isEmpty {
            if line.hasPrefix("#") {
                if line.hasPrefix("## ") { dialogues.append(Dialogue(name: String(line.dropFirst(3)))) }
                continue
            }
            let rest = line.dropFirst(2)
            let words = rest.split(separator: " ", omittingEmptySubsequences: false).map { unescaped($0) }
            switch line.first {
            case "@": dialogues[dialogues.count - 1].password = unescaped(rest)
            case ">": open = (line, .send(RESPEncoder.command(words)))
            case "=": open = (line, .send(unescaped(rest)))
            case "!": open = (line, .publish(words[0], words[1]))
            default:
                let (line, step) = try #require(open)
                let closes = rest.hasSuffix("<CLOSED>")
                dialogues[dialogues.count - 1].steps.append((line, step, unescaped(closes ? rest.dropLast(8) : rest), closes))
            }
        }
        return dialogues
    }
}

@Suite struct DialogueTests {
    @Test func answersAsRedis() throws {
        let dialogues = try Dialogue.all()
        #expect(dialogues.count == 21)
        #expect(dialogues.reduce(0) { $0 + $1.steps.count } == 184)
        for dialogue in dialogues {
            var connection = Connection(password: dialogue.password)
            for (line, step, answer, closes) in dialogue.steps {
                let got =
                    switch step {
                    case .send(let bytes): connection.send(bytes)
                    case .publish(let channel, let payload): connection.published(channel, payload)
                    }
                let shown = String(decoding: got, as: UTF8.self)
                #expect(got == answer, "\(dialogue.name): \(line): \(shown.debugDescription)")
                #expect(connection.isOpen != closes, "\(dialogue.name): \(line)")
            }
        }
    }

    /// The same bytes, cut in two anywhere, give the same answers.
    @Test func cutsDoNotMatter() throws {
        for dialogue in try Dialogue.all() {
            let sent = dialogue.steps.flatMap { if case .send(let bytes) = $0.step { bytes } else { [] as [UInt8] } }
            var whole = Connection(password: dialogue.password)
            let expected = whole.send(sent)
            for cut in 0...sent.count {
                var connection = Connection(password: dialogue.password)
                let got = connection.send(Array(sent[..<cut])) + connection.send(Array(sent[cut...]))
                #expect(got == expected, "\(dialogue.name), cut at \(cut)")
            }
            var single = Connection(password: dialogue.password)
            #expect(sent.flatMap { single.send([$0]) } == expected, "\(dialogue.name), byte by byte")
        }
    }

    @Test func matchesPatternsAsRedis() throws {
        var count = 0
        for line in try goldenLines("globs.txt") where !line.isEmpty && !line.hasPrefix("#") {
            let parts = line.split(separator: " ").map { $0 == "-" ? [] : Array($0.utf8) }
            #expect(RESPGlob(parts[0]).matches(parts[1]) == (parts[2] == [UInt8(ascii: "1")]), "\(line)")
            count += 1
        }
        #expect(count == 335)
    }
}
