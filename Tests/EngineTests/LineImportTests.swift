import Base
import Content
import Engine
import Events
import LMDB
import Maintenance
import Search
import TestSupport
import Testing

/// Documents line by line into a data folder.
@Suite struct LineImportTests {
    private let p = Name(stored: "p")

    private static func vector(_ random: inout SeededRandom) -> [Float] { (0..<WordHash.dimension).map { _ in Float(random.unit() - 0.5) } }

    private static func line(_ key: String, _ data: JSONValue, _ vector: [Float]? = nil, project: String? = "p") -> String {
        var members = JSONObject()
        if let project { members["project_id"] = .string(project) }
        members["data_key"] = .string(key)
        members["data"] = data
        if let vector { members["vector"] = .array(vector.map { .number(JSONNumber(uncheckedText: $0.description)) }) }
        return JSONPrinter.text(.object(members))
    }

    /// The text in pieces of random size; `breakAt` bytes of it, then an error.
    private static func pieces(_ text: String, _ random: SeededRandom, breakAt: Int = .max) -> () throws -> [UInt8] {
        let bytes = Array(text.utf8)
        var (at, random) = (0, random)
        return {
            guard at < breakAt else { throw ContexError(.unavailable, "the input broke off") }
            let end = min(bytes.count, at + Int.random(in: 1...70_000, using: &random))
            defer { at = end }
            return Array(bytes[at..<end])
        }
    }

    private func configuration(_ folder: TemporaryFolder) -> DatabaseConfiguration {
        var configuration = DatabaseConfiguration(directory: folder.path)
        configuration.durability = .unsafeNoSync
        configuration.mapBytes = 4 << 30
        return configuration
    }

    private func run(
        _ folder: TemporaryFolder, _ text: String, name: String = "lines", breakAt: Int = .max, _ adjust: (inout LineImport.Options) -> Void = { _ in },
        skipped: (Int, ContexError) -> Void = { _, _ in }
    ) async throws -> LineImport.Report {
        var options = LineImport.Options()
        options.project = Name(stored: "standard")
        adjust(&options)
        let random = SeededRandom(seed: UInt64(text.utf8.count))
        return try await LineImport.run(
            configuration: configuration(folder), models: WordHash.ascii, name: name, options: options,
            input: Self.pieces(text, random, breakAt: breakAt), skipped: skipped)
    }

    private func failure(_ body: () async throws -> some Any) async -> LineImport.Failure? {
        do {
            _ = try await body()
            return nil
        } catch { return error as? LineImport.Failure }
    }

    private func conflict(_ body: () async throws -> some Any) async -> String? {
        do {
            _ = try await body()
            return nil
        } catch {
            let error = error as? ContexError
            return error?.category == .conflict ? error?.message : nil
        }
    }

    /// What a line leaves in the store is what the same publish leaves.
    @Test func aLineIsAPublish() async throws {
        var random = SeededRandom(seed: testSeed("aLineIsAPublish"))
        let folders = (TemporaryFolder(), TemporaryFolder())
        let commands: [PublishCommand] = (0..<400).map { number in
            let key = Name(stored: "k\(number % 300)")
            let project = Name(stored: number % 7 == 0 ? "standard" : "p")
            return switch number % 4 {
            case 0: PublishCommand(project: project, key: key, data: ["a": ["b": .string("zebra \(number)")], "c": "lion"])
            case 1: PublishCommand(project: project, key: key, data: ["text": .string("words \(number)")], vector: Self.vector(&random))
            case 2: PublishCommand(project: project, key: key, data: .string("One \(number). Two."), format: "text", eventType: "told")
            case 3 where number % 8 == 3: PublishCommand(project: project, key: key, data: .string("Непонятное море \(number)"))
            default: PublishCommand(project: project, key: key, data: .string("name,age\nZoë,\(number)\n"))
            }
        }
        let register = RegisterCommand(project: p, agent: Name(stored: "a"), needs: ["c: lion zebra 8", "words 9"])
        let one = try Fixture(folders.0, models: WordHash.ascii)
        let two = try Fixture(folders.1, models: WordHash.ascii)
        for fixture in [one, two] {
            try await fixture.publish("p", "first", ["x": "y"])
            _ = try await fixture.database.register(Fixture.tenant, register)
        }
        for command in commands { _ = try await one.database.publish(Fixture.tenant, [command])[0].get() }
        await two.database.close()

        var text = "\n  \r\n"
        for command in commands {
            var members = JSONObject([("data_key", .string(command.key.text)), ("data", command.data)])
            if command.project == p { members["project_id"] = "p" }
            if let format = command.format { members["data_format"] = .string(format) }
            if let type = command.eventType { members["event_type"] = .string(type) }
            if let vector = command.vector { members["vector"] = .array(vector.map { .double(Double($0)) }) }
            text += JSONPrinter.text(.object(members)) + "\r\n"
        }
        text.removeLast()
        let report = try await run(folders.1, text)
        #expect(report.published == 400 && report.unchanged == 0 && report.lines == 402 && report.linesBefore == 0)
        let again = try Fixture(folders.1)
        for project in ["p", "standard"] {
            let logs = (
                try await one.database.events(Fixture.tenant, project: Name(stored: project), since: .zero, count: 999),
                try await again.database.events(Fixture.tenant, project: Name(stored: project), since: .zero, count: 999)
            )
            #expect(logs.0.map { "\($0.sequence) \($0.type) \($0.key) \($0.format) \($0.data) \($0.vector ?? [])" }
                == logs.1.map { "\($0.sequence) \($0.type) \($0.key) \($0.format) \($0.data) \($0.vector ?? [])" })
            for question in ["zebra 8", "Two", "words lion"] {
                for mode in SearchMode.allCases {
                    let answers = (
                        try await one.query(project, question, mode: mode, topK: 500), try await again.query(project, question, mode: mode, topK: 500)
                    )
                    #expect(answers.0.map { "\($0.nodeKey) \($0.similarity)" } == answers.1.map { "\($0.nodeKey) \($0.similarity)" })
                }
            }
        }
        let follows = (try await one.database.agents(Fixture.tenant, project: p), try await again.database.agents(Fixture.tenant, project: p))
        // Needs are scored by the statistics of the moment: of one publish there, of all lines of a transaction here. Near 0.5 the two may differ.
        #expect(!Set(follows.0[0].nodeKeys).isDisjoint(with: follows.1[0].nodeKeys))
        #expect(try await one.closeAndCheck() == [])
        #expect(try await again.closeAndCheck() == [])

        // A second time it changes nothing.
        let twice = try await run(folders.1, commands.suffix(100).map { command in
            var members = JSONObject([("project_id", .string(command.project.text)), ("data_key", .string(command.key.text)), ("data", command.data)])
            if let format = command.format { members["data_format"] = .string(format) }
            if let type = command.eventType { members["event_type"] = .string(type) }
            if let vector = command.vector { members["vector"] = .array(vector.map { .double(Double($0)) }) }
            return JSONPrinter.text(.object(members))
        }.joined(separator: "\n"))
        #expect(twice.published == 0 && twice.unchanged == 100)
    }

    /// A project with gaps grows to many times its size, some documents twice, and its graph is built anew.
    @Test func manyVectorsAreBuiltInBulk() async throws {
        var random = SeededRandom(seed: testSeed("manyVectorsAreBuiltInBulk"))
        let folder = TemporaryFolder()
        let before = try Fixture(folder)
        var vectors: [String: [Float]] = [:]
        func put(_ key: String) -> [Float] {
            vectors[key] = Self.vector(&random)
            return vectors[key]!
        }
        for number in 0..<400 {
            let command = PublishCommand(project: p, key: Name(stored: "old\(number)"), data: "x", vector: put("old\(number)"))
            _ = try await before.database.publish(Fixture.tenant, [command])[0].get()
        }
        for number in stride(from: 0, to: 400, by: 3) {
            _ = try await before.database.delete(Fixture.tenant, project: p, key: Name(stored: "old\(number)"))
            vectors["old\(number)"] = nil
        }
        _ = try await before.database.register(Fixture.tenant, RegisterCommand(project: p, agent: Name(stored: "a"), needs: ["x"]))
        await before.database.close()
        var lines: [String] = []
        for number in 0..<5_000 {
            // Now and then one that was there before, or that this import has brought.
            let key = number % 50 == 7 ? "old\(number / 50)" : number % 50 == 8 ? "new\(number / 2)" : "new\(number)"
            lines.append(Self.line(key, ["n": .integer(number)], put(key)))
        }
        let report = try await run(folder, lines.joined(separator: "\n")) { $0.bulkFrom = 500 }
        #expect(report.published == 5_000 && report.linked >= vectors.count)
        let fixture = try Fixture(folder)
        var found = 0
        for (key, vector) in vectors.sorted(by: { $0.key < $1.key }).prefix(500) {
            var request = QueryRequest(project: p, text: "", vector: vector, topK: 1, threshold: 0)
            request.efSearch = 200
            let match = try #require(try await fixture.database.query(Fixture.tenant, request).matches.first)
            if match.documentKey == key { found += 1 }
        }
        #expect(found >= 495)
        // It goes on as any other.
        try await fixture.publish("p", "after", "tortoise")
        _ = try await fixture.database.delete(Fixture.tenant, project: p, key: Name(stored: "new1"))
        #expect(try await fixture.closeAndCheck() == [])
    }

    /// All equal, in bulk: every one is found, one is taken away, and another one is told apart.
    @Test func thousandsOfEqualVectorsInBulk() async throws {
        var random = SeededRandom(seed: testSeed("thousandsOfEqualVectorsInBulk"))
        let (equal, other) = (Self.vector(&random), Self.vector(&random))
        let folder = TemporaryFolder()
        let lines = (0..<4_000).map { Self.line("k\($0)", ["n": .integer($0)], equal) } + [Self.line("other", "x", other)]
        #expect(try await run(folder, lines.joined(separator: "\n")).linked == 4_001)
        let fixture = try Fixture(folder)
        func near(_ vector: [Float]) async throws -> [Match] {
            let request = QueryRequest(project: p, text: "", vector: vector, topK: 100, threshold: 0.999)
            return try await fixture.database.query(Fixture.tenant, request).matches
        }
        #expect(Set(try await near(equal).map(\.nodeKey)).count == 100)
        #expect(try await near(other).map(\.documentKey) == ["other"])
        _ = try await fixture.database.delete(Fixture.tenant, project: p, key: Name(stored: "k0"))
        #expect(try await fixture.closeAndCheck() == [])
        #expect(try await Reindex.run(configuration: configuration(folder), models: WordHash.models).ownVectors == 4_000)
        #expect(try IntegrityCheck.run(directory: folder.path).findings == [])
    }

    /// Cut off anywhere, nobody serves what cannot be found, and the same lines finish it.
    @Test func whatWasCutOffGoesOn() async throws {
        var random = SeededRandom(seed: testSeed("whatWasCutOffGoesOn"))
        let folder = TemporaryFolder()
        let lines = (0..<6_000).map { Self.line("k\($0)", ["n": .integer($0)], Self.vector(&random)) }
        let text = lines.joined(separator: "\n")
        var done = 0
        for part in [0.05, 0.4, 0.8] {
            let cut = try #require(await failure { try await run(folder, text, breakAt: Int(Double(text.utf8.count) * part)) { $0.bulkFrom = 1_500 } })
            #expect(cut.line == nil && cut.error.category == .unavailable && cut.linesDone >= done)
            done = cut.linesDone
            if part > 0.3 {
                #expect(done > 1_500)
                #expect(await conflict { try Fixture(folder) }?.contains("contex import") == true)
                #expect(try IntegrityCheck.run(directory: folder.path).findings.count == 1)
                // Other lines are not taken for these.
                #expect(await conflict { try await run(folder, lines.reversed().joined(separator: "\n"), name: "others") }?.contains("line \(done)") == true)
                #expect(await conflict { try await run(folder, "", name: "nothing") } != nil)
            }
        }
        // Lines beyond what is done may have been mended; those before are read and compared.
        let report = try await run(folder, (lines.dropLast() + [Self.line("mended", "x")]).joined(separator: "\n")) { $0.bulkFrom = 1_500 }
        #expect(report.linesBefore == done && report.published == 6_000 - done && report.linked == 6_000)
        let fixture = try Fixture(folder)
        #expect(try await fixture.database.events(Fixture.tenant, project: p, since: .zero, count: 9_999).count == 6_000)
        #expect(try await fixture.query("p", "mended x", mode: .keyword).map(\.documentKey) == ["mended"])
        #expect(try await fixture.closeAndCheck() == [])
    }

    /// A graph that was set apart and not finished is made by a reindex too, or by another import.
    @Test func aReindexOrAnotherImportFinishesTheGraph() async throws {
        var random = SeededRandom(seed: testSeed("aReindexOrAnotherImport"))
        let text = (0..<2_500).map { Self.line("k\($0)", "x", Self.vector(&random)) }.joined(separator: "\n")
        for isReindex in [true, false] {
            let folder = TemporaryFolder()
            let cut = try #require(await failure { try await run(folder, text, breakAt: text.utf8.count * 9 / 10) { $0.bulkFrom = 100 } })
            #expect(await conflict { try Fixture(folder) } != nil)
            if isReindex {
                #expect(try await Reindex.run(configuration: configuration(folder), models: WordHash.models).ownVectors == cut.linesDone)
            } else {
                #expect(try await run(folder, Self.line("other", "y"), name: "other") { $0.startsAnew = true }.linked == cut.linesDone + 1)
            }
            let fixture = try Fixture(folder)
            #expect(try await fixture.closeAndCheck() == [])
            // The lines may still be finished, in whatever way the folder has got its graph.
            if isReindex { #expect(try await run(folder, text).linesBefore == cut.linesDone) }
        }
    }

    @Test func aBadLineIsNamedAndWhatIsBeforeItStays() async throws {
        let good = [Self.line("a", "one"), Self.line("b", "two")]
        var vector = [String](repeating: "0", count: WordHash.dimension)
        let zero = vector.joined(separator: ",")
        vector[3] = "1e999"
        let bad: [(String, String?)] = [
            ("{broken", nil), ("[]", nil), ("17", nil), (#"{"data_key":"k"}"#, "data"), (#"{"data":1}"#, "data_key"), (#"{"data_key":7,"data":1}"#, "data_key"),
            (#"{"data_key":"\#(String(repeating: "x", count: 256))","data":1}"#, "data_key"), (#"{"data_key":"k","data":"a\u0000"}"#, "data"),
            (#"{"data_key":"a\u0000","data":1}"#, "data_key"), (#"{"project_id":"","data_key":"a","data":1}"#, "project_id"),
            (#"{"data_key":"k","data":1,"data_format":7}"#, "data_format"),
            (#"{"data_key":"k","data":1,"vector":[1,2]}"#, "vector"), (#"{"data_key":"k","data":1,"vector":[\#(zero)]}"#, "vector"),
            (#"{"data_key":"k","data":1,"vector":[\#(vector.joined(separator: ","))]}"#, "vector"), (#"{"data_key":"k","data":1,"vector":"x"}"#, "vector"),
            (#"{"data_key":"k","data":1,"vector":[[1]]}"#, "vector"), (#"{"data_key":"k","data":1,"event_type":"\u0000"}"#, "event_type"),
            (#"{"data_key":"k","data":"# + String(repeating: "[", count: 100) + String(repeating: "]", count: 100) + "}", nil),
        ]
        for (line, field) in bad {
            let folder = TemporaryFolder()
            let text = (good + [line, Self.line("c", "three")]).joined(separator: "\n")
            let failed = try #require(await failure { try await run(folder, text) }, "\(line.prefix(80))")
            #expect(failed.line == 3 && failed.linesDone == 2 && failed.error.field == field, "\(line.prefix(80)): \(failed)")
            let fixture = try Fixture(folder)
            #expect(try await fixture.query("p", "two").count == 2)
            await fixture.database.close()
            // Mended it goes on; passed over it does too.
            let mended = try await run(folder, (good + [Self.line("m", "mended"), Self.line("c", "three")]).joined(separator: "\n"))
            #expect(mended.linesBefore == 2 && mended.published == 2)
            let other = TemporaryFolder()
            var told: [Int] = []
            let report = try await run(other, text) { $0.skipsBadLines = true } skipped: { line, _ in told.append(line) }
            #expect(report.published == 3 && report.skipped == 1 && told == [3])
        }
        // Without a project, and over the length of a line.
        let folder = TemporaryFolder()
        #expect(await failure { try await run(folder, Self.line("a", "x", project: nil)) { $0.project = nil } }?.error.field == "project_id")
        let long = String(repeating: " ", count: ImportLines.lineBytesMax + 1)
        let tooLong = await failure { try await run(folder, Self.line("a", "x") + "\n" + long + "{}\n" + Self.line("b", "y")) { $0.skipsBadLines = true } }
        #expect(tooLong?.line == 2 && tooLong?.linesDone == 1 && tooLong?.error.category == .tooLarge)
        let fixture = try Fixture(folder)
        #expect(await conflict { try await run(folder, Self.line("a", "x")) } != nil)
        #expect(try await fixture.closeAndCheck() == [])
    }
}
