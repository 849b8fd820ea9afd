internal import ArgumentParser
internal import Assembly
internal import Base
internal import Content
internal import Glibc
internal import Maintenance

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

struct ImportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Publish many documents at once, a line of JSON each, into a data folder or a running server.",
        discussion: """
            A line is {"project_id", "data_key", "data"} with "data_format", "event_type", "metadata" and "vector" where wanted, as in a publish. Each becomes \
            an event in the log. (To take over a whole project that was exported, post the export to /projects/{id}/import.)

            Into a data folder the server must be stopped. Lines are stored some hundred at a time, all or none of them; cut off, the same \
            command goes on where it stopped. It ends at the first line that cannot be published and names it; mend the line and call it again.

            Into a server (--server) it sends the lines in batches. A publish that is equal to what its key has is no event, so after a stop \
            the same file may be sent again, or the rest of it with --from-line.
            """)

    @Argument(help: "The file of lines (NDJSON); - for standard input.") var file: String
    @Option(help: "The project of lines that name none.") var project: String?
    @Option(
        name: [.customLong("data-dir"), .customLong("data")],
        help: ArgumentHelp("The data folder, made when it is not there (default: CONTEX_DATA_DIR, else ./contex-data).", valueName: "folder"))
    var dataDir: String?
    @Option(help: ArgumentHelp("The model folder (default: CONTEX_MODEL_DIR, else ./.models/all-MiniLM-L6-v2).", valueName: "folder"))
    var modelDir: String?
    @Flag(help: "Pass over lines that cannot be published, telling of each; the exit code is then 1.") var skipBadLines = false
    @Flag(help: "Begin at the first line, whatever an earlier import has left unfinished.") var restart = false
    @Option(
        name: [.customLong("server"), .customLong("url")], help: ArgumentHelp("A running server to send the lines to, instead of a folder.", valueName: "url"))
    var server: String?
    @Option(help: ArgumentHelp("The server's API key (default: CONTEX_API_KEY).", valueName: "key")) var apiKey: String?
    @Option(help: ArgumentHelp("With --server: the first line to send.", valueName: "line")) var fromLine = 1
    @Flag(help: "Print the report as JSON.") var json = false

    func validate() throws {
        if server != nil, dataDir != nil || modelDir != nil || restart { throw ValidationError("--server goes without --data-dir, --model-dir and --restart") }
        if server == nil, fromLine != 1 || apiKey != nil { throw ValidationError("--from-line and --api-key go with --server") }
        if fromLine < 1 { throw ValidationError("--from-line counts from 1") }
    }

    @OptionGroup var trust: TrustOptions

    func run() async throws {
        var options = LineImport.Options()
        do throws(ContexError) {
            if let project { options.project = try Name(project, field: "project_id") }
        } catch {
            throw CommandFailure(.usage, "--project: \(error.message)")
        }
        options.skipsBadLines = skipBadLines
        options.startsAnew = restart
        let input = try InputPieces(file)
        if let server {
            let known = ProcessInfo.processInfo.environment["CONTEX_API_KEY"].flatMap { $0.isEmpty ? nil : $0 }
            try await send(input, to: try APIClient(server: server, apiKey: apiKey ?? known, trust: trust.trust), project: options.project)
        } else {
            try await store(input, options)
        }
    }

    // MARK: - Into a folder

    private func store(_ input: InputPieces, _ options: LineImport.Options) async throws {
        let report: LineImport.Report
        let folder: String
        do {
            defer { Terminal.progress("") }
            // Threshold and mode decide whom an agent follows: taken from where the server takes them.
            var configuration = try ServerConfiguration(arguments: [], environment: ProcessInfo.processInfo.environment)
            if let dataDir { configuration.dataFolder = dataDir }
            if let modelDir { configuration.modelFolder = modelDir }
            folder = configuration.dataFolder
            report = try await Importing.run(configuration, name: InputFile.name(file), options: options, input: input.next) { line, error in
                Terminal.progress("")
                Terminal.complain("line \(line) is passed over: \(Self.reason(error))")
            } progress: { progress in
                switch progress {
                case .reading(let lines, let bytes):
                    Self.show(bytes, lines, of: input)
                case .linking(let done, let all): Terminal.progress(done, of: all, "vectors linked")
                }
            }
        } catch let failure as LineImport.Failure {
            let place = failure.line.map { "line \($0): " } ?? ""
            let done = failure.linesDone == 0 ? "Nothing is stored" : "The lines up to \(failure.linesDone) are stored: the same command goes on behind them"
            throw CommandFailure(.failed, "\(InputFile.name(file)), \(place)\(Self.reason(failure.error)). \(done)")
        } catch {
            throw CommandFailure(error)
        }
        if json {
            Terminal.say(
                JSONPrinter.text([
                    "lines": .integer(report.lines), "lines_before": .integer(report.linesBefore), "published": .integer(report.published),
                    "unchanged": .integer(report.unchanged), "skipped": .integer(report.skipped), "linked": .integer(report.linked),
                ]))
        } else {
            if report.linesBefore > 0 { Terminal.say("went on from line \(report.linesBefore + 1), where an earlier import had stopped") }
            Terminal.say("published \(report.published) documents into \(folder)" + (report.unchanged > 0 ? ", \(report.unchanged) were there already" : ""))
        }
        if report.skipped > 0 { throw CommandFailure(.failed, "\(report.skipped) lines could not be published") }
    }

    private static func show(_ bytes: Int, _ lines: Int, of input: InputPieces) {
        if let all = input.bytesOfAll { Terminal.progress(bytes, of: all, "bytes, \(lines) lines") } else { Terminal.progress("\(lines) lines") }
    }

    private static func reason(_ error: ContexError) -> String {
        Terminal.clean((error.field.map { "\($0): " } ?? "") + error.message, atMost: 300)
    }

    // MARK: - Into a server

    /// Lines of one request, and bytes of them but for a longer line alone.
    private static let requestLines = 500
    private static let requestBytes = Limits.bodyBytes / 2

    private func send(_ input: InputPieces, to client: APIClient, project: Name?) async throws {
        var lines = ImportLines(input.next)
        var items: [(line: Int, value: JSONValue)] = []
        var (bytes, published, bad) = (0, 0, 0)
        func refuse(_ line: Int, _ reason: String) throws(CommandFailure) {
            guard skipBadLines else {
                throw CommandFailure(
                    .failed, "\(InputFile.name(file)), line \(line): \(reason). What stands before it is sent: go on with --from-line \(line)")
            }
            bad += 1
            Terminal.progress("")
            Terminal.complain("line \(line) is passed over: \(reason)")
        }
        func flush() async throws {
            guard !items.isEmpty else { return }
            let answer: JSONValue
            do throws(CommandFailure) {
                answer = try await client.post(["batch", "publish"], .array(items.map(\.value)))
            } catch {
                let first = items[0].line
                throw CommandFailure(error.status, "\(error.message). What stands before line \(first) is sent: go on with --from-line \(first)")
            }
            for (item, result) in zip(items, answer["results"]?.arrayValue ?? []) {
                if result["status"]?.stringValue == "success" {
                    published += 1
                } else {
                    try refuse(item.line, Terminal.clean(result["error"]?.stringValue ?? "refused", atMost: 300))
                }
            }
            items = []
            bytes = 0
            Self.show(lines.bytes, lines.count, of: input)
        }
        defer { Terminal.progress("") }
        while true {
            let line: ImportLines.Line
            do {
                guard let next = try lines.next() else { break }
                line = next
            } catch {
                try await flush()
                throw CommandFailure(.failed, "\(InputFile.name(file)), line \(lines.count + 1): \(CommandFailure(error).message)")
            }
            guard line.number >= fromLine else { continue }
            do throws(ContexError) {
                items.append((line.number, try ImportLines.checked(line, project: project)))
            } catch {
                try await flush()
                try refuse(line.number, Self.reason(error))
                continue
            }
            bytes += line.bytes.count
            if items.count >= Self.requestLines || bytes >= Self.requestBytes { try await flush() }
        }
        try await flush()
        Terminal.progress("")
        if json {
            Terminal.say(JSONPrinter.text(["lines": .integer(lines.count), "published": .integer(published), "skipped": .integer(bad)]))
        } else {
            Terminal.say("sent \(published) documents")
        }
        if bad > 0 { throw CommandFailure(.failed, "\(bad) lines could not be published") }
    }
}

/// The bytes of a file or of standard input, a piece at a time.
final class InputPieces {
    private let descriptor: Int32
    private static let pieceBytes = 1 << 18
    /// nil when nobody knows before the end.
    let bytesOfAll: Int?

    /// - Parameter file: `-` for standard input.
    init(_ file: String) throws(CommandFailure) {
        descriptor = file == "-" ? 0 : unsafe open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw InputFile.unreadable(file) }
        var facts = stat()
        guard unsafe fstat(descriptor, &facts) == 0, facts.st_mode & S_IFMT != S_IFDIR else {
            if descriptor > 0 { close(descriptor) }
            throw CommandFailure(.failed, "\(InputFile.name(file)) is a folder")
        }
        bytesOfAll = facts.st_mode & S_IFMT == S_IFREG ? Int(facts.st_size) : nil
    }

    deinit { if descriptor > 0 { close(descriptor) } }

    /// Nothing at the end.
    func next() throws -> [UInt8] {
        try unsafe [UInt8](unsafeUninitializedCapacity: Self.pieceBytes) { piece, count in
            while true {
                let got = unsafe read(descriptor, piece.baseAddress, Self.pieceBytes)
                if got < 0 && errno == EINTR { continue }
                guard got >= 0 else { throw ContexError(.unavailable, "the input cannot be read: \(unsafe String(cString: strerror(errno)))") }
                count = got
                return
            }
        }
    }
}
