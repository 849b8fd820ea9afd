import Base
import Content
import Foundation
import KeySpace
import LMDB
import TestSupport
import Testing

/// The built binary as people and scripts meet it: what it prints, where, and its exit codes.
@Suite(.serialized, .enabled(if: ContexBinary.isThere)) struct CommandLineTests {
    @Test func versionAndHelp() throws {
        let version = try ContexBinary.run(["version"])
        #expect(version.status == 0 && version.output == "contex 0.1.0 (HTTP API 0.2.0)\n" && version.errors.isEmpty)
        #expect(try ContexBinary.run(["version", "--json"]).json?["version"]?.stringValue == "0.1.0")
        #expect(try ContexBinary.run(["--version"]).output == version.output)
        let help = try ContexBinary.run(["--help"])
        #expect(help.status == 0 && help.errors.isEmpty)
        for name in ["serve", "publish", "query", "agent", "events", "projects", "check", "stats", "import", "version", "data", "settings", "keys"] {
            #expect(help.output.contains("  \(name) "))
        }
        let serve = try ContexBinary.run(["serve", "--help"])
        #expect(serve.status == 0 && serve.output.contains("--http-port PORT|off") && serve.output.contains("CONTEX_BOOTSTRAP_ADMIN_KEY"))
    }

    @Test(arguments: [
        (["nonsense"], 2), (["query"], 2), (["query", "p", "q", "--top", "0"], 2), (["query", "p", "q", "--threshold", "2"], 2),
        (["query", "p", "q", "--mode", "magic"], 2), (["query", "p", "q", "--fusion", "magic"], 2),
        (["query", "p", "q", "--weights", "semantic=-1"], 2), (["query", "p", "q", "--weights", "semantic=0,keyword=0"], 2),
        (["query", "p", "q", "--weights", "semantic=nan"], 2), (["query", "p", "q", "--weights", "bm25=1"], 2),
        (["publish", "p", "k", "/no/such/file"], 3), (["events", "p", "--since", "x"], 2),
        (["projects", "--server", "not a url"], 2), (["projects", "--server", "http://127.0.0.1:99999"], 2), (["projects", "--server", "http://:80"], 2),
        (["projects", "--server", "http://127.0.0.1:99999999999999999999"], 2), (["projects", "--server", "http://127.0.0.1:0"], 2),
        (["serve", "--data-dir", ""], 2), (["check", "--data-dir", ""], 2), (["stats", "--data-dir", ""], 2), (["reindex", "--data-dir", ""], 2),
        (["keys", "list", "--data-dir", ""], 2), (["serve", "--http-port", "x"], 2), (["serve", "--http-host", "0.0.0.0"], 2),
        (["check", "--data-dir", "/no/such/folder"], 3), (["stats", "--data-dir", "/no/such/folder"], 3), (["projects", "--server", "http://127.0.0.1:1"], 6),
        (["query", "p", "q", "--server", "http://127.0.0.1:1"], 6), (["events", "p", "--follow", "--server", "http://127.0.0.1:1"], 6),
        (["agent", "list", "--server", "http://127.0.0.1:1"], 6), (["query", "p", "q", "--max-tokens", "999"], 2), (["query", "p"], 2),
        (["query", "p", "q", "--diversity", "1.5"], 2), (["query", "p", "q", "--batch", "-"], 2), (["query", "p", "--batch", "/no/such/file"], 3),
        (["data", "p", "--server", "http://127.0.0.1:1"], 6), (["data", "p", "k", "--keys"], 2), (["settings", "p", "--analyzer", "klingon"], 2),
        (["keys", "list", "--server", "http://127.0.0.1:1"], 6), (["keys", "list", "--data-dir", "/no/such/folder"], 3), (["keys", "confirm"], 2),
        (["keys", "confirm", "x", "--all"], 2), (["keys", "confirm", "x", "--data-dir", "/no/such/folder"], 2), (["keys", "revoke"], 2),
        (["keys", "confirm", "0123456789abcdef", "--data-dir", "/no/such/folder"], 3), (["keys", "list", "--data-dir", "d", "--server", "http://a"], 2),
        (["publish", "p", "k"], 2), (["publish", "p", "k", "a", "b"], 2), (["publish", "p", "--each"], 2), (["publish", "p", "--each", "-"], 2),
        (["publish", "p", "--each", "/no/such/file"], 3), (["publish", "p", "k", "/tmp"], 1),
        (["reindex", "--analyzer", "code"], 2), (["reindex", "--project", "p"], 2), (["reindex", "--project", "p", "--analyzer", "klingon"], 2),
    ]) func mistakes(arguments: [String], status: Int) throws {
        let result = try ContexBinary.run(arguments)
        #expect(result.status == status)
        #expect(result.output.isEmpty && !result.errors.isEmpty && !result.errors.contains("\u{1B}"))
        if status != 2 { #expect(result.errors.split(separator: "\n").count == 1) }
    }

    @Test func kernelsThatAreNone() throws {
        let wrong = try ContexBinary.run(["version"], environment: ["CONTEX_KERNELS": "fast"])
        #expect(wrong.status == 2 && wrong.output.isEmpty && wrong.errors.hasPrefix("contex: CONTEX_KERNELS must be portable, avx2 or avx512"))
        for level in ["", "portable", "avx2", "avx512"] {
            #expect(try ContexBinary.run(["version"], environment: ["CONTEX_KERNELS": level]).status == 0)
        }
    }

    @Test(.enabled(if: TestData.hasModel)) func contentHash() throws {
        let folder = TemporaryFolder()
        let data = folder.path + "/data"
        func hash(_ kernels: String = "") throws -> String {
            let plain = try ContexBinary.run(["check", "--content-hash", "--data-dir", data], environment: ["CONTEX_KERNELS": kernels])
            #expect(plain.status == 0 && plain.errors.isEmpty, "\(plain.errors)")
            let digits = String(plain.output.dropLast())
            #expect(plain.output.hasSuffix("\n") && digits.utf8.count == 64 && digits.allSatisfy { $0.isHexDigit && !$0.isUppercase })
            let json = try ContexBinary.run(["check", "--content-hash", "--json", "--data-dir", data])
            #expect(json.json?["content_hash"]?.stringValue == digits)
            return digits
        }
        func publish(_ line: String) throws {
            #expect(try ContexBinary.run(["import", "-", "--project", "p", "--data-dir", data], input: line).status == 0)
        }
        try publish(#"{"data_key":"a","data":"One. Two."}"#)
        let first = try hash()
        #expect(try hash("portable") == first)
        // What changes nothing gives no other hash.
        try publish(#"{"data_key":"a","data":"One. Two."}"#)
        #expect(try hash() == first)
        try publish(#"{"data_key":"a","data":"One. Three."}"#)
        #expect(try hash() != first)
        #expect(try ContexBinary.run(["check", "--content-hash", "--data-dir", "/no/such/folder"]).status == 3)
    }

    @Test func damagedStoreIsFound() throws {
        let folder = TemporaryFolder()
        try FileManager.default.createDirectory(atPath: folder.path + "/store", withIntermediateDirectories: true)
        try Data(repeating: 7, count: 100_000).write(to: URL(fileURLWithPath: folder.path + "/store/data.mdb"))
        let check = try ContexBinary.run(["check", "--data-dir", folder.path])
        #expect(check.status == 1 && check.errors.contains(folder.path))
        let serve = try ContexBinary.run(["serve", "--data-dir", folder.path, "--http-port", "0", "--resp-port", "off", "--wire-port", "off"])
        #expect(serve.status == 1 && serve.errors.split(separator: "\n").count <= 3)
    }
}

/// What a start says when it cannot be: one line, on standard error, and a code of its own.
@Suite(.serialized, .enabled(if: ContexBinary.isThere && TestData.hasModel)) struct FailedStartTests {
    private func serve(_ arguments: [String], environment: [String: String] = [:]) throws -> ContexBinary.Result {
        let result = try ContexBinary.run(["serve", "--http-port", "0", "--resp-port", "off", "--wire-port", "off"] + arguments, environment: environment)
        #expect(result.status != 0 && result.output.isEmpty && result.errors.split(separator: "\n").filter { $0.hasPrefix("contex:") }.count == 1)
        return result
    }

    @Test func aStoreOfAnotherFormat() throws {
        let folder = TemporaryFolder()
        try FileManager.default.createDirectory(atPath: folder.path + "/store", withIntermediateDirectories: true)
        do {
            let store = try LMDB.Environment(path: folder.path + "/store", options: .init(mapBytes: 1 << 24))
            var transaction = try store.beginWrite()
            var record = ByteWriter()
            record.u32(StoreFormat.version + 1)
            try transaction.store(TenantScope.system.key(.storeFormat), record.bytes)
            try transaction.commit()
        }
        let result = try serve(["--data-dir", folder.path])
        #expect(result.status == 1 && result.errors.contains("store format \(StoreFormat.version + 1)"))
        for command in ["check", "stats", "reindex"] {
            let tool = try ContexBinary.run([command, "--data-dir", folder.path])
            #expect(tool.status == 1 && tool.errors.contains("store format \(StoreFormat.version + 1)"), "\(command): \(tool.errors)")
        }
    }

    @Test func aFolderThatCannotBeAFolder() throws {
        let folder = TemporaryFolder()
        try Data("in the way".utf8).write(to: URL(fileURLWithPath: folder.path + "/file"))
        #expect(try serve(["--data-dir", folder.path + "/file"]).errors.contains(folder.path + "/file"))
    }

    @Test func aModelFolderThatIsMissingOrDamaged() throws {
        let folder = TemporaryFolder()
        let missing = try serve(["--data-dir", folder.path + "/data", "--model-dir", folder.path + "/nowhere"])
        #expect(missing.errors.contains(folder.path + "/nowhere"))
        let model = try #require(TestData.model)
        let copy = folder.path + "/model"
        try FileManager.default.copyItem(atPath: model.path, toPath: copy)
        let words = URL(fileURLWithPath: copy + "/vocab.txt")
        try (Data(contentsOf: words) + Data("more\n".utf8)).write(to: words)
        #expect(try serve(["--data-dir", folder.path + "/data", "--model-dir", copy]).errors.contains("vocab.txt"))
    }
}

/// The past and the settings of a project at the command line, and a change of analyser that a kill interrupts.
@Suite(.serialized, .enabled(if: ContexBinary.isThere && TestData.hasModel)) struct HistoryCommandTests {
    @Test func pastAndSettings() throws {
        let server = try ContexBinary.Serving()
        func contex(_ arguments: String..., input: String = "") throws -> ContexBinary.Result {
            try ContexBinary.run(arguments + ["--server", server.url], input: input)
        }
        #expect(try contex("publish", "shop", "note", "-", input: "We deploy on Fridays.").status == 0)
        #expect(try contex("publish", "shop", "note", "-", input: "We deploy on Mondays.").status == 0)
        #expect(try contex("data", "shop", "note").output == "\"We deploy on Mondays.\"\n")
        #expect(try contex("data", "shop", "note", "--as-of", "1").output == "\"We deploy on Fridays.\"\n")
        #expect(try contex("data", "shop", "--limit", "9").output == contex("data", "shop").output)
        #expect(try contex("data", "shop", "note", "--limit", "1").status == 2)
        #expect(try contex("data", "shop", "--keys").output == "note\n" && contex("data", "shop", "--keys", "--as-of", "0").output.isEmpty)
        #expect(try contex("data", "shop", "--as-of", "1").output.contains("Fridays"))
        #expect(try contex("data", "shop", "nothing").status == 3)
        let past = try contex("query", "shop", "+deploy -mondays", "--threshold", "0", "--as-of", "1")
        #expect(past.status == 0 && past.output.contains("Fridays"))
        // Signs that leave nothing are words.
        #expect(try contex("query", "shop", "deploy -\"mondays\"", "--threshold", "0").output.contains("Mondays"))
        let future = try contex("query", "shop", "deploy", "--as-of", "9")
        #expect(future.status == 2 && future.errors.contains("as_of") && future.errors.contains("future"))
        #expect(try contex("data", "shop", "--as-of", "soon").errors.contains("as_of"))

        #expect(try contex("settings", "shop").output == "analyzer: english (version 2)\n")
        #expect(try contex("settings", "shop", "--analyzer", "code").output == "analyzer: code (version 2), 1 nodes indexed anew\n")
        #expect(try contex("settings", "shop", "--json").json?["analyzer"] == "code")
        #expect(try server.stop() == 0)
        let rebuilt = try ContexBinary.run(["reindex", "--data-dir", server.folder.path, "--project", "shop", "--analyzer", "simple"])
        #expect(rebuilt.status == 0, "\(rebuilt.errors)")
        #expect(try ContexBinary.run(["reindex", "--data-dir", server.folder.path, "--project", "no", "--analyzer", "simple"]).status == 3)
        #expect(try ContexBinary.run(["check", "--data-dir", server.folder.path]).status == 0)
    }

    /// Killed while an analyser is changed, a project has the old one or the new one, whole.
    @Test func aChangeOfTheAnalyserSurvivesAKill() async throws {
        var random = SeededRandom(seed: testSeed("aChangeOfTheAnalyserSurvivesAKill"))
        var server = try ContexBinary.Serving()
        let folder = server.folder
        let rows = JSONValue.array((0..<3_000).map { ["row": .string("theCats number\($0 % 7) of \($0)")] })
        let published = try ContexBinary.run(["publish", "shop", "rows", "-", "--server", server.url], input: JSONPrinter.text(rows))
        #expect(published.status == 0, "\(published.errors)")
        var analyzer = "english"
        for round in 0..<4 {
            let (next, url) = (round % 2 == 0 ? "code" : "simple", server.url)
            let change = Task.detached { try? ContexBinary.run(["settings", "shop", "--analyzer", next, "--server", url]) }
            try await Task.sleep(for: .milliseconds(Int.random(in: 0...150, using: &random)))
            kill(server.processID, SIGKILL)
            _ = try server.wait()
            _ = await change.value
            let check = try ContexBinary.run(["check", "--data-dir", folder.path])
            #expect(check.status == 0, "\(check.output)")
            server = try ContexBinary.Serving(folder: folder)
            let found = try ContexBinary.run(["settings", "shop", "--json", "--server", server.url]).json?["analyzer"]?.stringValue
            #expect(found == analyzer || found == next)
            analyzer = found ?? ""
            let answer = try ContexBinary.run(
                ["query", "shop", "cats", "--mode", "keyword", "--threshold", "0", "--json", "--server", server.url]
            ).json
            #expect(answer?["matches"]?.arrayValue?.count == (analyzer == "simple" ? 0 : 5), "\(analyzer)")
        }
        #expect(try server.stop() == 0)
    }
}

/// The commands against a server that is a process of its own.
@Suite(.serialized, .enabled(if: ContexBinary.isThere && TestData.hasModel)) struct ClientCommandTests {
    @Test func aDayAtTheCommandLine() async throws {
        let server = try ContexBinary.Serving()
        let folder = TemporaryFolder()
        func contex(_ arguments: String..., input: String = "") throws -> ContexBinary.Result {
            try ContexBinary.run(arguments + ["--server", server.url], input: input)
        }
        try Data(#"{"backend": "Python FastAPI", "db": "PostgreSQL"}"#.utf8).write(to: URL(fileURLWithPath: folder.path + "/tech.json"))
        try Data("{broken".utf8).write(to: URL(fileURLWithPath: folder.path + "/broken.json"))

        #expect(try contex("publish", "shop", "tech", folder.path + "/tech.json").output == "published shop/tech as event 1\n")
        #expect(try contex("publish", "shop", "note", "-", input: "We deploy on Fridays.").output == "published shop/note as event 2\n")
        let broken = try contex("publish", "shop", "broken", folder.path + "/broken.json")
        #expect(broken.status == 1 && broken.errors.contains("is no JSON"))
        // JSON as editors write it is sent as it is; what a file is not, though its name says so, is said.
        try Data("// c\n{\"a\": [1,],}".utf8).write(to: URL(fileURLWithPath: folder.path + "/settings.json"))
        try Data("just words".utf8).write(to: URL(fileURLWithPath: folder.path + "/words.xml"))
        let dialect = try contex("publish", "files", "settings", folder.path + "/settings.json")
        #expect(dialect.status == 0 && dialect.errors.isEmpty, "\(dialect.errors)")
        let named = try contex("publish", "files", "words", folder.path + "/words.xml")
        #expect(named.status == 0 && named.errors.contains("does not fit data_format 'xml'") && named.errors.contains("It was read as text."))

        let found = try contex("query", "shop", "which database", "--threshold", "0", "--top", "1")
        #expect(found.status == 0 && found.output.contains("tech.root") && found.output.contains("db: PostgreSQL"))
        let json = try contex("query", "shop", "which database", "--threshold", "0", "--mode", "semantic", "--explain", "--json").json
        #expect(json?["matches"]?.arrayValue?.first?["explanation"]?["mode"]?.stringValue == "semantic")
        let fused = try contex(
            "query", "shop", "which database", "--threshold", "0", "--weights", "semantic=0.7,keyword=0.3", "--fusion", "rrf", "--explain", "--json"
        ).json
        #expect(fused?["matches"]?.arrayValue?.first?["explanation"]?["fusion"]?.stringValue == "rrf")
        let nothing = try contex("query", "shop", "which database", "--threshold", "1")
        #expect(nothing.status == 0 && nothing.output.isEmpty && nothing.errors.contains("nothing in shop"))
        // A name that was mistyped is not an empty project.
        for arguments in [
            ["query", "shpo", "which database"], ["query", "shpo", "which database", "--json"], ["query", "shpo", "--batch", "-"], ["data", "shpo"],
            ["data", "shpo", "--keys"], ["data", "shpo", "tech"], ["events", "shpo"], ["settings", "shpo"], ["agent", "list", "--project", "shpo"],
        ] {
            let unknown = try ContexBinary.run(arguments + ["--server", server.url], input: "which database\n")
            #expect(unknown.status == 3 && unknown.output.isEmpty, "\(arguments)")
            if arguments != ["data", "shpo", "tech"] { #expect(unknown.errors.contains("there is no project 'shpo'"), "\(arguments): \(unknown.errors)") }
        }

        let registered = try contex("agent", "register", "shop", "reader", "--need", "the database in use", "-n", "when we deploy")
        #expect(registered.status == 0 && registered.output.hasPrefix("registered reader in shop, told on channel agent:reader:updates\n"))
        #expect(try contex("agent", "list").output == "AGENT   PROJECT\nreader  shop\n")
        #expect(try contex("agent", "list", "--project", "shop").output == "AGENT   PROJECT\nreader  shop\n")
        #expect(registered.output.contains("  1 matches: the database in use\n"), "\(registered.output)")
        for choosy in [["--filter", #"{"metadata.team":"core"}"#], ["--min-similarity", "1", "--mode", "hybrid", "--top", "2"]] {
            let arguments = ["agent", "register", "shop", "reader", "-n", "the database in use", "--server", server.url] + choosy
            #expect(try ContexBinary.run(arguments).output.contains("  0 matches: the database in use\n"), "\(choosy)")
        }
        #expect(try contex("agent", "register", "shop", "reader", "-n", "x", "--min-similarity", "1.1").status == 2)
        #expect(try contex("agent", "remove", "reader").output == "removed reader\n")
        #expect(try contex("agent", "remove", "reader").status == 3)

        let log = try contex("events", "shop", "--json").output.split(separator: "\n").map { try JSONParser.parse(text: String($0)) }
        #expect(log.map { $0["event_type"]?.stringValue } == ["tech_updated", "note_updated"])
        #expect(try contex("events", "shop", "--since", "1").output == "2  note_updated  {\"note\":\"We deploy on Fridays.\"}\n")
        let projects = try contex("projects").output.split(separator: "\n").last?.split(separator: " ").map(String.init)
        #expect(projects?.first == "shop" && projects?.last == "2")

        // Beside the running server, and after it.
        #expect(try ContexBinary.run(["check", "--data-dir", server.folder.path]).output.hasPrefix("all is well: "))
        let stats = try ContexBinary.run(["stats", "--data-dir", server.folder.path, "--json"]).json
        #expect(stats?["projects"]?.arrayValue?.first?["documents"]?.integerValue == 2)
        let events = stats?["kinds"]?.arrayValue?.first { $0["kind"]?.stringValue == "event" }
        #expect(events?["records"]?.integerValue == 4 && (events?["bytes"]?.integerValue ?? 0) > 100)
        func total(_ name: String) -> Int { stats?[name]?.integerValue ?? -1 }
        let onDisk = stats?["kinds"]?.arrayValue?.reduce(0) { $0 + ($1["disk_bytes"]?.integerValue ?? 0) }
        #expect(onDisk == total("record_bytes") && total("nodes") >= 2)
        #expect(total("record_bytes") + total("branch_bytes") + total("free_bytes") == total("file_bytes"))
        let table = try ContexBinary.run(["stats", "--data-dir", server.folder.path]).output
        #expect(table.contains("KIND ") && table.contains(" RECORDS ") && table.contains("position: ") && table.contains("no journal"))
        let second = try ContexBinary.run(["serve", "--data-dir", server.folder.path, "--http-port", "0", "--resp-port", "off", "--wire-port", "off"])
        #expect(second.status == 4 && second.errors.contains(server.folder.path))
        let taken = try ContexBinary.run(["serve", "--data-dir", folder.path, "--http-port", "\(server.port)", "--resp-port", "off", "--wire-port", "off"])
        #expect(taken.status == 4 && taken.errors.contains("\(server.port)") && taken.errors.split(separator: "\n").count == 1)
        #expect(try server.stop() == 0)
        #expect(try contex("projects").status == 6)
        let report = try ContexBinary.run(["check", "--data-dir", server.folder.path, "--json"])
        #expect(report.status == 0 && report.json?["documents"]?.integerValue == 4)
    }

    @Test func packingReasonsAndManyQuestions() throws {
        let server = try ContexBinary.Serving()
        func contex(_ arguments: String..., input: String = "") throws -> ContexBinary.Result {
            try ContexBinary.run(arguments + ["--server", server.url], input: input)
        }
        for i in 0..<14 {
            let text = "We deploy the web shop in step \(i). " + String(repeating: "Every deployment of the shop is written down here, ", count: 60)
            #expect(try contex("publish", "shop", "deploy\(i)", "-", "--format", "json", input: "{\"text\": \"\(text)\"}").status == 0)
        }
        #expect(try contex("publish", "shop", "menu", "-", input: "Soup of the day.").status == 0)
        for key in ["a", "b"] { #expect(try contex("publish", "shop", key, "-", "--format", "json", input: #"{"deploy": "on Fridays"}"#).status == 0) }

        let packed = try contex(
            "query", "shop", "how do we deploy", "--top", "20", "--threshold", "0", "--max-tokens", "1000", "--diversity", "0", "--pin", "menu", "--pin",
            "nowhere", "--explain", "--explain-key", "menu", "--explain-key", "deploy7", "--explain-key", "nothing")
        #expect(packed.status == 0 && packed.errors == "pinned, but not there: nowhere\n", "\(packed.errors)")
        #expect(packed.output.contains(" of 1000 tokens\n") && packed.output.contains("no room for: "), "\(packed.output)")
        #expect(packed.output.contains("(pinned, ") && packed.output.contains("b.root says what a.root says"), "\(packed.output)")
        #expect(packed.output.contains("\nnothing is not there\n") && packed.output.contains("menu (menu.sentence_0) is a match\n"), "\(packed.output)")
        #expect(packed.output.contains("cosine ") && packed.output.contains("bias -"), "\(packed.output)")

        let questions = "how do we deploy\n\n{\"query\": \"soup\", \"top_k\": 1, \"threshold\": 0}\n{\"query\": \"soup\", \"response_format\": \"toon\"}\n"
        let many = try contex("query", "shop", "--batch", "-", "--threshold", "0.2", "--top", "2", input: questions)
        let lines = many.output.split(separator: "\n").map(String.init)
        #expect(many.status == 0 && lines.filter { $0.hasPrefix("? ") } == ["? how do we deploy", "? soup", "? soup"], "\(many)")
        #expect(lines.contains { $0.hasSuffix("menu.sentence_0") } && lines.contains("query: soup"), "\(many.output)")
        let json = try contex("query", "shop", "--batch", "-", "--json", input: String(repeating: "soup\n", count: 230)).output.split(separator: "\n")
        #expect(json.count == 230)
        let broken = try contex("query", "shop", "--batch", "-", input: "fine\n{broken\n")
        #expect(broken.status == 1 && broken.errors.contains("standard input, line 2"))
        #expect(try server.stop() == 0)
    }

    /// Documents in the places, what stands under them, and the passage that answers.
    @Test func documentsAtTheCommandLine() throws {
        let server = try ContexBinary.Serving()
        func contex(_ arguments: String..., input: String = "") throws -> ContexBinary.Result {
            try ContexBinary.run(arguments + ["--server", server.url], input: input)
        }
        for table in 0..<3 {
            let rows = "id,text\n" + (0..<5).map { "n\($0),the release train \(table) stops at station \($0)" }.joined(separator: "\n")
            #expect(try contex("publish", "shop", "table\(table)", "-", "--format", "csv", input: rows).status == 0)
        }
        let long = (0..<90).map { "Line \($0) goes to the town of Zebra\($0)" }.joined(separator: ". ")
        #expect(try contex("publish", "shop", "lines", "-", "--format", "json", input: #"{"title": "Lines", "text": "\#(long)"}"#).status == 0)
        let grouped = try contex(
            "query", "shop", "release train station", "--threshold", "0", "--top", "3", "--by-document", "--per-document", "2", "--json"
        ).json?["matches"]?.arrayValue
        #expect(grouped?.count == 3 && grouped?.allSatisfy { $0["data_key"]!.stringValue!.hasPrefix("lines") || $0["others"]?.arrayValue?.count == 1 } == true)
        let bounded = try contex("query", "shop", "release train station", "--threshold", "0", "--top", "20", "--per-document", "1", "--json").json
        let keys = bounded?["matches"]?.arrayValue?.compactMap { $0["data_key"]?.stringValue?.split(separator: ".").first.map(String.init) } ?? []
        #expect(keys.count == 4 && Set(keys).count == 4)
        let shown = try contex("query", "shop", "which line goes to Zebra71", "--threshold", "0", "--top", "1")
        let passage = try contex("query", "shop", "which line goes to Zebra71", "--threshold", "0", "--top", "1", "--json")
            .json?["matches"]?.arrayValue?.first?["passage"]?["text"]?.stringValue
        #expect(passage?.contains("Zebra71.") == true && passage?.contains("Zebra0.") == false)
        // What is shown of it is its beginning.
        #expect(shown.output.contains("lines.root") && passage.map { shown.output.contains($0.prefix(100)) } == true, "\(shown.output)")
        for arguments in [["--per-document", "0"], ["--per-document", "51"]] {
            let wrong = try ContexBinary.run(["query", "shop", "q", "--server", server.url] + arguments)
            #expect(wrong.status == 2 && wrong.errors.contains("document"), "\(wrong)")
        }
        #expect(try server.stop() == 0)
    }

    /// Whatever can be opened and read is published, and what became of it is said.
    @Test func publishingFromAnywhere() throws {
        let server = try ContexBinary.Serving()
        let folder = TemporaryFolder()
        func contex(_ arguments: String..., input: String = "", environment: [String: String] = [:]) throws -> ContexBinary.Result {
            try ContexBinary.run(arguments + ["--server", server.url], input: input, environment: environment)
        }
        #expect(try contex("publish", "shop", "a", "/dev/stdin", input: "From a descriptor.").output == "published shop/a as event 1\n")
        #expect(try contex("publish", "shop", "a", "-", input: "From a descriptor.").output == "unchanged: shop/a is what event 1 published\n")
        // A pipe that a shell makes for a process, which has no size and cannot be opened twice.
        let shell = Process()
        shell.executableURL = URL(fileURLWithPath: "/bin/bash")
        shell.arguments = ["-c", "\"$0\" publish shop b <(head -c 150000 /dev/zero | tr '\\0' x) --server \"$1\" >/dev/null", ContexBinary.url.path, server.url]
        try shell.run()
        shell.waitUntilExit()
        #expect(shell.terminationStatus == 0)
        #expect(try contex("data", "shop", "b").output.count { $0 == "x" } == 150_000)

        try FileManager.default.createDirectory(atPath: folder.path + "/docs", withIntermediateDirectories: true)
        for (name, text) in [("docs/one.md", "# One"), ("docs/two.json", #"{"two": 2}"#), ("docs/odd.json", "no json")] {
            try Data(text.utf8).write(to: URL(fileURLWithPath: folder.path + "/" + name))
        }
        let many = Process()
        many.executableURL = ContexBinary.url
        many.arguments = ["publish", "shop", "--each", "./docs/one.md", "docs/two.json", "docs/odd.json", "--server", server.url]
        many.currentDirectoryURL = folder.url
        many.standardOutput = FileHandle.nullDevice
        many.standardError = FileHandle.nullDevice
        try many.run()
        many.waitUntilExit()
        #expect(many.terminationStatus == 1)
        #expect(try contex("data", "shop", "--keys").output == "a\nb\ndocs/one.md\ndocs/two.json\n")
        // What was not read as what it is named is said.
        let hinted = try contex("publish", "shop", "c", "-", "--format", "xml", input: "no < xml")
        #expect(hinted.status == 0 && hinted.errors.hasPrefix("note: shop/c: "), "\(hinted.errors)")

        // Secrets come from where nobody looks and go nowhere.
        try Data("the-secret\n".utf8).write(to: URL(fileURLWithPath: folder.path + "/secret"))
        let url = "https://hooks.example/token-in-path?key=token"
        let register = ["agent", "register", "shop", "hooked", "-n", "one", "--webhook", url, "--server", server.url]
        for (more, input, environment) in [
            (["--webhook-secret-file", folder.path + "/secret"], "", [:]), (["--webhook-secret-file", "-"], "the-secret", [:]),
            ([], "", ["CONTEX_WEBHOOK_SECRET": "the-secret"]), (["--json"], "", ["CONTEX_WEBHOOK_SECRET": "the-secret"]),
        ] as [([String], String, [String: String])] {
            let registered = try ContexBinary.run(register + more, input: input, environment: environment)
            #expect(registered.status == 0, "\(registered.errors)")
            for text in ["secret", "token"] { #expect(!(registered.output + registered.errors).contains(text), "\(more): \(registered.output)") }
            if more.isEmpty { #expect(registered.output.contains("told at https://hooks.example\n")) }
        }
        #expect(try ContexBinary.run(register + ["--webhook-secret-file", "-"], input: "\n").status == 1)
        #expect(try server.stop() == 0)
    }

    /// Tried without authentication, keys made, switched on: what the server prints is what there is to do.
    @Test func keysOfTheOpenTime() throws {
        let open = try ContexBinary.Serving()
        let printed = try open.printed()
        let first = try #require(printed.split(separator: "\n").map(String.init).first { $0.hasPrefix("ck_") })
        let client = ["--server", open.url]
        #expect(try ContexBinary.run(["publish", "shop", "a", "-"] + client, input: "a text").status == 0)
        var keys: [(id: String, text: String)] = []
        for name in ["ci", "stranger"] {
            let shell = Process()
            let output = Pipe()
            shell.executableURL = URL(fileURLWithPath: "/usr/bin/curl")
            shell.arguments = ["-s", "-X", "POST", "-H", "Content-Type: application/json", "\(open.url)/api/v1/auth/keys?name=\(name)"]
            shell.standardOutput = output
            try shell.run()
            let answer = try JSONParser.parse([UInt8](output.fileHandleForReading.readDataToEndOfFile()))
            shell.waitUntilExit()
            #expect(answer["confirmed"] == .bool(false) && answer["note"]?.stringValue?.contains("contex keys confirm") == true)
            keys.append((try #require(answer["key_id"]?.stringValue), try #require(answer["api_key"]?.stringValue)))
        }
        #expect(try ContexBinary.run(["keys", "confirm", keys[0].id] + client).status == 4)
        #expect(try open.stop() == 0)

        let closed = try ContexBinary.Serving(folder: open.folder, environment: ["AUTH_ENABLED": "true"])
        let said = try closed.printed()
        for text in ["NOT VALID", "2 API keys that were made", "readonly of all projects", "'stranger'"] { #expect(said.contains(text), "\(text)") }
        #expect(said.contains("keys confirm \(keys[0].id) --server \(closed.url)"))
        #expect(said.contains("keys confirm --all --data-dir \(closed.folder.path)"))
        let log = try closed.logged()
        for key in keys { #expect(log.contains("contex keys confirm \(key.id)") && !log.contains(key.text) && !said.contains(key.text)) }
        func contex(_ arguments: [String], key: String) throws -> ContexBinary.Result {
            try ContexBinary.run(arguments + ["--server", closed.url], environment: ["CONTEX_API_KEY": key])
        }
        let refused = try contex(["projects"], key: keys[0].text)
        #expect(refused.status == 5 && refused.errors.contains("contex keys confirm \(keys[0].id)"))
        #expect(try contex(["keys", "list"], key: first).output.components(separatedBy: "NOT CONFIRMED").count == 3)
        #expect(try contex(["keys", "confirm", keys[0].id], key: first).output == "confirmed \(keys[0].id)\n")
        #expect(try contex(["keys", "revoke", keys[1].id], key: first).output == "revoked \(keys[1].id)\n")
        #expect(try contex(["projects"], key: keys[0].text).status == 0)
        #expect(try contex(["keys", "confirm", "--all"], key: first).output == "nothing to confirm\n")
        #expect(try ContexBinary.run(["keys", "confirm", keys[0].id, "--data-dir", closed.folder.path]).status == 4)
        #expect(try ContexBinary.run(["keys", "list", "--data-dir", closed.folder.path]).output.contains(keys[0].id))
        #expect(try closed.stop() == 0)
        let again = try ContexBinary.Serving(folder: open.folder, environment: ["AUTH_ENABLED": "true"])
        #expect(try !again.printed().contains("NOT VALID"))
        #expect(try again.stop() == 0)
        #expect(try ContexBinary.run(["check", "--data-dir", open.folder.path]).status == 0)
    }

    @Test func anInboxIsRead() throws {
        let server = try ContexBinary.Serving()
        func contex(_ arguments: String..., input: String = "") throws -> ContexBinary.Result {
            try ContexBinary.run(arguments + ["--server", server.url], input: input)
        }
        #expect(try contex("agent", "register", "shop", "reader", "-n", "when do we deploy", "--mode", "semantic", "--min-similarity", "0.2").status == 0)
        #expect(try contex("publish", "shop", "rule", "-", input: "We deploy on Fridays.").status == 0)
        #expect(try contex("agent", "inbox", "reader").output == "0-1  first_match  rule\n    when do we deploy\n")
        let explained = try contex("agent", "inbox", "reader", "--project", "shop", "--explain").output.split(separator: "\n")
        #expect(explained.count == 2 && explained[1].hasPrefix("    0.") && explained[1].contains(" of 0.2 semantic, cosine 0."), "\(explained)")
        #expect(explained.last?.hasSuffix(": when do we deploy (rule.sentence_0)") == true, "\(explained)")
        let entry = try contex("agent", "inbox", "reader", "--explain", "--json").json?["entries"]?.arrayValue?.first
        #expect(entry?["matches"]?.arrayValue?.first?["mode"] == "semantic")
        #expect(try contex("agent", "inbox", "reader", "--after", "0-1").output == "")
        #expect(try contex("agent", "inbox", "reader", "--limit", "0").status == 2)
        #expect(try contex("agent", "inbox", "nobody").status == 3)
        #expect(try server.stop() == 0)
        #expect(try ContexBinary.run(["check", "--data-dir", server.folder.path]).output.hasPrefix("all is well: "))
    }

    @Test func metadataAndFilters() throws {
        let server = try ContexBinary.Serving()
        func contex(_ arguments: String..., input: String = "") throws -> ContexBinary.Result {
            try ContexBinary.run(arguments + ["--server", server.url], input: input)
        }
        for (key, team) in [("a", "core"), ("b", "web")] {
            let published = try contex("publish", "shop", key, "-", "--metadata", #"{"team":"\#(team)","size":3}"#, input: "We deploy on Fridays.")
            #expect(published.status == 0, "\(published.errors)")
        }
        let found = try contex("query", "shop", "when do we deploy", "--threshold", "0", "--explain", "--filter", #"{"metadata.team":"web"}"#)
        #expect(found.status == 0 && found.output.contains("b.") && !found.output.contains("a.") && found.output.contains("1 of 2 nodes pass the filter"))
        let refused = try contex("query", "shop", "when", "--filter", #"{"metadata.size":{"gte":"x","lt":3}}"#)
        #expect(refused.status != 0 && refused.errors.contains("filter.metadata.size.lt: a number, but the other end of the range is a text"))
        #expect(try contex("query", "shop", "when", "--filter", "team=web").status == 2)
        #expect(try contex("publish", "shop", "c", "-", "--metadata", "[1]", input: "x").status == 2)
        #expect(try server.stop() == 0)
        #expect(try ContexBinary.run(["check", "--data-dir", server.folder.path]).output.hasPrefix("all is well: "))
    }

    @Test func aKeyIsAskedFor() throws {
        let server = try ContexBinary.Serving(environment: ["AUTH_ENABLED": "true"])
        let printed = try server.printed()
        let rule = String(repeating: "=", count: 78)
        let lines = printed.split(separator: "\n").map(String.init)
        let first = try #require(lines.firstIndex(of: rule))
        let last = try #require(lines.lastIndex(of: rule))
        let key = try #require(lines[first...last].first { $0.hasPrefix("ck_") })
        #expect(printed.components(separatedBy: key).count == 2)

        let without = try ContexBinary.run(["projects", "--server", server.url])
        #expect(without.status == 5 && without.errors.contains("CONTEX_API_KEY"))
        #expect(try ContexBinary.run(["projects", "--server", server.url, "--api-key", "ck_wrong"]).status == 5)
        #expect(try ContexBinary.run(["projects", "--server", server.url], environment: ["CONTEX_API_KEY": key]).status == 0)
        #expect(try ContexBinary.run(["projects"], environment: ["CONTEX_API_KEY": key, "CONTEX_SERVER": server.url]).status == 0)
        #expect(try server.stop() == 0)
        #expect(try !server.logged().contains(key))
    }

    @Test func aHalfSentBodyDoesNotHoldUpTheStop() throws {
        let server = try ContexBinary.Serving(environment: ["CONTEX_IDLE_TIMEOUT": "3600"])
        let connection = try RawConnection(port: server.port)
        connection.send("POST /api/v1/data/publish HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"project_id\":")
        // The server has the head when a request that came later is answered.
        #expect(try ContexBinary.run(["projects", "--server", server.url]).status == 0)
        #expect(try server.stop() == 0)
    }

    @Test func aSecondSignalEndsItAtOnce() throws {
        let server = try ContexBinary.Serving()
        kill(server.processID, SIGINT)
        kill(server.processID, SIGTERM)
        #expect([0, 128 + SIGINT, 128 + SIGTERM].contains(try server.wait()))
    }
}
