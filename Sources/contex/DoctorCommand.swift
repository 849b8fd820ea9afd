internal import ArgumentParser
internal import Base
internal import Content
internal import Engine
internal import Maintenance
internal import Observability
internal import TLS

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Say in plain words what is wrong with a server or a data folder, and what to do.",
        discussion: """
            Looks at a running server, or with --data-dir at a folder, beside a server too; with --tls-cert and --tls-key also at these \
            files, before or after a server takes them. Ends with 0 when nothing is wrong or only worth a note, with 1 when something is.
            """)

    @OptionGroup var options: ClientOptions

    @Option(help: ArgumentHelp("Look at this folder instead of a server.", valueName: "folder"))
    var dataDir: String?

    @Option(help: ArgumentHelp("Look at this certificate too; with its key.", valueName: "file"))
    var tlsCert: String?

    @Option(help: ArgumentHelp("The private key that belongs to it.", valueName: "file"))
    var tlsKey: String?

    func run() async throws {
        guard (tlsCert == nil) == (tlsKey == nil) else { throw CommandFailure(.usage, "--tls-cert and --tls-key go together") }
        var diagnoses = tlsCert.flatMap { certificate in tlsKey.map { Self.files(certificate, $0) } } ?? []
        if let dataDir {
            diagnoses += try Self.folder(dataDir)
        } else if tlsCert == nil || options.server != nil {
            diagnoses += try await Self.server(try options.client())
        }
        if options.json {
            Terminal.say(
                JSONPrinter.text(
                    .array(
                        diagnoses.map {
                            [
                                "weight": .string($0.weight.rawValue), "finding": .string($0.finding), "remedy": .string($0.remedy),
                                "runbook": $0.runbook.map { .string("docs/runbooks/" + $0) } ?? .null,
                            ]
                        })))
        } else {
            Terminal.say(diagnoses.isEmpty ? "nothing is wrong" : diagnoses.map(Self.lines).joined(separator: "\n"))
        }
        let wrong = diagnoses.count { $0.weight != .note }
        if wrong > 0 { throw CommandFailure(.failed, "\(wrong) \(wrong == 1 ? "thing is" : "things are") wrong") }
    }

    private static func lines(_ diagnosis: Diagnosis) -> String {
        let runbook = diagnosis.runbook.map { "\n         more: docs/runbooks/\($0)" } ?? ""
        let weight = diagnosis.weight.rawValue + String(repeating: " ", count: 9 - diagnosis.weight.rawValue.count)
        return "\(weight)\(diagnosis.finding)\n         do: \(diagnosis.remedy)\(runbook)"
    }

    /// What a server would say of the files, before it has them.
    private static func files(_ certificate: String, _ key: String) -> [Diagnosis] {
        do throws(ContexError) {
            let files = try CertificateFiles(TLSSettings(certificate: certificate, key: key))
            return files.remarks.map { Diagnosis(.warning, $0, "chmod 600", runbook: "certificate.md") }
                + Doctor.certificate(endsIn: Double(files.facts.ends) - SystemClock().now().seconds)
        } catch {
            return [Diagnosis(.broken, error.message, "a server keeps the certificate that it has until these are right", runbook: "certificate.md")]
        }
    }

    /// Measures say what goes on, health what cannot be done now.
    private static func server(_ client: APIClient) async throws -> [Diagnosis] {
        let metrics = try ExpositionReader(try await client.text(["metrics"]))
        guard metrics["contex_active_requests"] != nil else {
            throw CommandFailure(.refused, "this key is held to some projects and sees their figures only: ask with one that is not")
        }
        var diagnoses = Doctor.diagnose(metrics)
        let (status, health) = try await client.look(["health"])
        guard case .object(let components)? = health["components"] else { return diagnoses }
        for (name, component) in components where component["status"]?.stringValue == "unhealthy" {
            let reason = component["message"]?.stringValue ?? "the server says no more to this key"
            let finding = "\(name) does not work: \(Terminal.clean(reason, atMost: 300))"
            diagnoses.insert(Diagnosis(.broken, finding, "the log says more", runbook: "incident.md"), at: 0)
        }
        if status == 503, diagnoses.isEmpty { diagnoses.append(Diagnosis(.broken, "the server is not healthy", "its log says why", runbook: "incident.md")) }
        return diagnoses
    }

    private static func folder(_ folder: String) throws -> [Diagnosis] {
        do {
            let report = try StoreReport.read(directory: folder)
            var figures = FolderFigures()
            (figures.fileBytes, figures.freePagesBytes, figures.readerSlots) = (report.fileBytes, report.freeBytes, report.readers)
            if let disk = ProcessFigures.disk(folder) { (figures.diskBytes, figures.diskFreeBytes) = (disk.bytes, disk.free) }
            figures.hasPepper = FileManager.default.fileExists(atPath: DatabaseConfiguration(directory: folder).pepperPath)
            return Doctor.diagnose(figures)
        } catch let error as ContexError where error.category == .damaged {
            return [
                Diagnosis(
                    .broken, "the store cannot be read: \(Terminal.clean(error.message, atMost: 300))",
                    "run contex check on a copy, and restore the last good backup", runbook: "store-damage.md")
            ]
        } catch {
            throw CommandFailure(error)
        }
    }
}
