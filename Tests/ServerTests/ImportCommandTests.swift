import Base
import Content
import Engine
import Foundation
import Maintenance
import TestSupport
import Testing

/// `contex import` as a process of its own: cut off by the system, from standard input, into a server.
@Suite(.serialized, .enabled(if: ContexBinary.isThere && TestData.hasModel)) struct ImportCommandTests {
    private static func line(_ number: Int, _ random: inout SeededRandom) -> String {
        let vector = (0..<384).map { _ in "\(Int.random(in: -999...999, using: &random))" }.joined(separator: ",")
        return #"{"data_key":"k\#(number)","data":{"text":"word\#(number % 500) common"},"vector":[\#(vector)]}"#
    }

    @Test func killedInTheMiddleItGoesOn() async throws {
        var random = SeededRandom(seed: testSeed("killedInTheMiddleItGoesOn"))
        let count = 8_000
        let folder = TemporaryFolder()
        let (file, data) = (folder.path + "/lines.ndjson", folder.path + "/data")
        try Data(((0..<count).map { Self.line($0, &random) }.joined(separator: "\n") + "\n").utf8).write(to: URL(fileURLWithPath: file))
        let arguments = ["import", file, "--project", "p", "--data-dir", data]

        // Once while it stores, once while it makes the graph: the log is whole by then.
        var last = 0
        for wanted in [1...(count - 1), count...count] {
            let process = try ContexBinary.started(arguments)
            let deadline = Date(timeIntervalSinceNow: 120)
            while process.isRunning, Date() < deadline {
                let stored = (try? StoreReport.read(directory: data))?.projects.first.map { Int($0.lastSequence.rawValue) } ?? 0
                if stored > last, wanted.contains(stored) { break }
                usleep(5_000)
            }
            #expect(process.isRunning, "it ended before it could be killed")
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            let stored = try StoreReport.read(directory: data).projects.first.map { Int($0.lastSequence.rawValue) } ?? 0
            #expect(stored > last && wanted.contains(stored))
            last = stored
            // Its vectors are not in a graph: nobody serves it.
            let check = try ContexBinary.run(["check", "--data-dir", data])
            #expect(check.status == 1 && check.output.contains("stopped after line \(stored)"), "\(check.output)")
            let serve = try ContexBinary.run(["serve", "--data-dir", data, "--http-port", "0", "--resp-port", "off", "--wire-port", "off"])
            #expect(serve.status == 4 && serve.errors.contains("contex import"))
        }
        let finished = try ContexBinary.run(arguments)
        #expect(finished.status == 0, "\(finished.errors)")
        #expect(finished.output == "went on from line \(last + 1), where an earlier import had stopped\npublished \(count - last) documents into \(data)\n")
        let check = try ContexBinary.run(["check", "--data-dir", data])
        #expect(check.status == 0 && check.output.contains("\(count) events, \(count) documents, \(count) nodes"), "\(check.output)\(check.errors)")
    }

    @Test func aBadLineOnStandardInput() throws {
        let folder = TemporaryFolder()
        let data = folder.path + "/data"
        let good = #"{"project_id":"p","data_key":"a","data":"One. Two."}"# + "\n"
        let failed = try ContexBinary.run(["import", "-", "--data", data], input: good + "\n" + #"{"project_id":"p","data_key":"b"}"# + "\n")
        #expect(failed.status == 1 && failed.output.isEmpty)
        #expect(failed.errors == "contex: standard input, line 3: data: Field required. The lines up to 1 are stored: the same command goes on behind them\n")
        let mended = try ContexBinary.run(["import", "-", "--data", data], input: good + "\n" + #"{"project_id":"p","data_key":"b","data":1}"# + "\n")
        #expect(mended.status == 0 && mended.output.hasPrefix("went on from line 2"))
        let skipped = try ContexBinary.run(["import", "-", "--data", data, "--skip-bad-lines", "--json"], input: "nonsense\n" + good)
        #expect(skipped.status == 1 && skipped.errors.contains("line 1 is passed over") && skipped.json?["unchanged"]?.integerValue == 1)
        for arguments in [["/no/such/file"], ["/tmp"]] { #expect(try ContexBinary.run(["import"] + arguments + ["--data-dir", data]).status != 0) }
        #expect(try ContexBinary.run(["import", "-", "--server", "http://127.0.0.1:1", "--data-dir", data]).status == 2)
        #expect(try ContexBinary.run(["import", "-", "--server", "http://127.0.0.1:1"], input: good).status == 6)
    }

    @Test func intoAServerAndAskedByVector() async throws {
        let server = try ContexBinary.Serving()
        var random = SeededRandom(seed: testSeed("intoAServerAndAskedByVector"))
        let lines = (0..<1_200).map { Self.line($0, &random) }
        func contex(_ arguments: [String], input: String = "") throws -> ContexBinary.Result {
            try ContexBinary.run(arguments + ["--server", server.url], input: input)
        }
        let sent = try contex(["import", "-", "--project", "p"], input: lines.joined(separator: "\n"))
        #expect(sent.status == 0 && sent.output == "sent 1200 documents\n", "\(sent.errors)")
        let rest = try contex(["import", "-", "--project", "p", "--from-line", "1100", "--json"], input: lines.joined(separator: "\n"))
        #expect(rest.json?["published"]?.integerValue == 101)
        let bad = try contex(["import", "-", "--project", "p"], input: lines[0] + "\n" + #"{"data_key":"x","data":1,"vector":[1]}"#)
        #expect(bad.status == 1 && bad.errors.contains("line 2: a vector of 1 numbers"))
        let vector = try #require(try JSONParser.parse(text: lines[700])["vector"])
        for more in [[], ["--ef-search", "400"], ["--recall", "0.99"], ["--mode", "semantic"]] {
            let found = try contex(["query", "p", "--vector", "-", "--top", "1", "--threshold", "0"] + more, input: JSONPrinter.text(vector))
            #expect(found.status == 0 && found.output.contains("k700.root"), "\(found.errors)")
        }
        let both = try contex(["query", "p", "word7", "--vector", "-", "--threshold", "0", "--explain"], input: JSONPrinter.text(vector))
        #expect(both.output.contains("hybrid"))
        let folder = TemporaryFolder()
        try Data(JSONPrinter.text(vector).utf8).write(to: URL(fileURLWithPath: folder.path + "/vector.json"))
        #expect(try contex(["publish", "p", "mine", "-", "--vector", folder.path + "/vector.json"], input: "a text of mine").status == 0)
        #expect(try contex(["query", "p", "--vector", folder.path + "/vector.json", "--top", "2"]).output.contains("mine.root"))
        for wrong in [[], ["q", "--recall", "2"], ["q", "--ef-search", "9", "--recall", "0.9"], ["q", "--ef-search", "0"]] {
            #expect(try contex(["query", "p"] + wrong).status == 2)
        }
        #expect(try contex(["query", "p", "--vector", "-"], input: "[1, \"x\"]").status == 1)
        #expect(try server.stop() == 0)
        #expect(try ContexBinary.run(["check", "--data-dir", server.folder.path]).status == 0)
    }
}
