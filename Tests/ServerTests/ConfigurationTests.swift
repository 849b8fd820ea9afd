import Assembly
import Base
import Foundation
import Service
import TLS
import TestSupport
import Testing

/// Where a setting comes from, what wins, and what a mistake is answered with.
@Suite struct ConfigurationTests {
    private func configuration(
        _ arguments: [String] = [], _ environment: [String: String] = [:], file: String? = nil
    ) throws -> ServerConfiguration {
        guard let file else { return try ServerConfiguration(arguments: arguments, environment: environment) }
        let folder = TemporaryFolder()
        let path = folder.path + "/contex.conf"
        try Data(file.utf8).write(to: URL(fileURLWithPath: path))
        return try ServerConfiguration(arguments: arguments + ["--config", path], environment: environment)
    }

    private func message(_ body: () throws -> ServerConfiguration) -> String {
        do {
            _ = try body()
            return "no error"
        } catch let error as ContexError {
            #expect(error.category == .invalid)
            return error.message
        } catch {
            return "another error: \(error)"
        }
    }

    @Test func defaults() throws {
        let plain = try configuration()
        #expect(plain.httpHost == "localhost" && plain.httpPort == 8001 && plain.respPort == 8003 && plain.wirePort == 8002)
        #expect(plain.dataFolder == "./contex-data" && plain.modelFolder == "./.models/all-MiniLM-L6-v2")
        #expect(plain.threshold == 0.5 && plain.matchesMax == 10 && plain.contextTokensMax == 51_200)
        #expect(!plain.authenticationRequired && plain.bootstrapName == "root" && plain.corsOrigins.isEmpty && plain.allowedHosts.isEmpty && plain.hybridSearch)
    }

    @Test func flagBeforeEnvironmentBeforeFileBeforeDefault() throws {
        let file = "CONTEX_MAX_MATCHES=1\n# a comment\n\nexport CONTEX_DATA_DIR = \"/from file\"\nCONTEX_SIMILARITY_THRESHOLD=0.1\n"
        let environment = ["CONTEX_MAX_MATCHES": "2", "CONTEX_SIMILARITY_THRESHOLD": "0.2"]
        let all = try configuration(["--max-matches", "3"], environment, file: file)
        #expect(all.matchesMax == 3 && all.threshold == 0.2 && all.dataFolder == "/from file" && all.contextTokensMax == 51_200)
        #expect(try configuration([], environment, file: file).matchesMax == 2)
        #expect(try configuration([], [:], file: file).matchesMax == 1)
    }

    @Test func theOriginalsNamesAreAliasesAndOursWin() throws {
        let theirs = [
            "SIMILARITY_THRESHOLD": "0.3", "MAX_MATCHES": "7", "MAX_CONTEXT_SIZE": "1000", "AUTH_ENABLED": "True", "BOOTSTRAP_ADMIN_KEY": "k",
            "BOOTSTRAP_ADMIN_NAME": "chief", "HYBRID_SEARCH_ENABLED": "false", "CORS_ORIGINS": "https://a.example, https://b.example",
            "CORS_ALLOW_CREDENTIALS": "0", "ENABLE_HSTS": "no", "LOG_LEVEL": "WARNING", "LOG_JSON": "false", "WEBHOOKS_ENABLED": "off",
            "DATABASE_URL": "postgres://somewhere",
        ]
        let read = try configuration([], theirs)
        #expect(read.threshold == 0.3 && read.matchesMax == 7 && read.contextTokensMax == 1_000 && read.authenticationRequired)
        #expect(read.bootstrapKey == "k" && read.bootstrapName == "chief" && !read.hybridSearch && !read.webhooks)
        #expect(read.corsOrigins == ["https://a.example", "https://b.example"] && !read.corsCredentials && !read.hsts)
        #expect("\(read.logLevel)" == "warning" && read.logJSON == false)
        #expect(try configuration([], theirs.merging(["CONTEX_MAX_MATCHES": "8"]) { $1 }).matchesMax == 8)
        // A file written for the original.
        #expect(try configuration([], [:], file: "DATABASE_URL=postgres://somewhere\nMAX_MATCHES='9'\n").matchesMax == 9)
    }

    @Test func hostsAndOrigins() throws {
        let read = try configuration(["--allowed-hosts", "contex.example, *.b.example", "--cors-origins=https://page.example/,http://localhost:3000"])
        #expect(read.allowedHosts == ["contex.example", "*.b.example"] && read.corsOrigins == ["https://page.example", "http://localhost:3000"])
        #expect(try configuration([], ["CORS_ORIGINS": "*"]).corsOrigins == ["*"])
        for wrong in ["page.example", "https://", "https://page.example/path", "https://a b", "://x"] {
            #expect(message { try configuration(["--cors-origins", wrong]) }.contains("is not origins as https://page.example:8443 (no path), * or null"))
        }
        for wrong in ["https://contex.example", "contex.example/"] {
            #expect(message { try configuration(["--allowed-hosts", wrong]) }.contains("is not names or addresses, without scheme and path"))
        }
    }

    @Test func portsAndSwitches() throws {
        let read = try configuration(["--http-port=0", "--resp-port", "off", "--demo", "--webhook-allow", "10.0.0.0/8, fd00::/8"])
        #expect(read.httpPort == 0 && read.respPort == nil && read.demo && read.webhookAllow == "10.0.0.0/8, fd00::/8")
        #expect(try configuration(["--demo=false"], ["CONTEX_DEMO": "true"]).demo == false)
        #expect(try configuration([], ["CONTEX_HTTP_PORT": ""]).httpPort == 8001)
        // A switch takes what its variable takes, and alone means true.
        for arguments in [["--auth"], ["--auth", "on"], ["--auth", "TRUE"], ["--auth=1"], ["--auth", "--demo"]] {
            #expect(try configuration(arguments, ["AUTH_ENABLED": "false"]).authenticationRequired)
        }
        for arguments in [["--auth", "off"], ["--auth=false"], ["--auth", "0", "--demo"], ["--auth=no"]] {
            #expect(try !configuration(arguments, ["AUTH_ENABLED": "true"]).authenticationRequired)
        }
        #expect(message { try configuration(["--auth", "perhaps"]) } == "--auth: 'perhaps' is not true or false")
        #expect(message { try configuration(["--http-port", "off", "--resp-port", "off", "--wire-port", "off"]) }.contains("all ports are off"))
    }

    @Test(arguments: [
        (["--http-port", "70000"], "--http-port: '70000' is not a port from 0 to 65535, or off"),
        (["--max-matches", "many"], "--max-matches: 'many' is not a whole number from 1 to 100"),
        (["--similarity-threshold", "1.5"], "--similarity-threshold: '1.5' is not a number from 0 to 1"),
        (["--auth=perhaps"], "--auth: 'perhaps' is not true or false"),
        (["--log-level", "loud"], "--log-level: 'loud' is not one of trace, debug, info, notice, warning, error, critical"),
        (["--data-dir"], "--data-dir needs a value"),
        (["--nonsense"], "unknown option --nonsense (contex serve --help lists them)"),
        (["here"], "unexpected argument 'here' (contex serve --help lists the options)"),
        (["--config", "/no/such/file"], "the configuration file /no/such/file cannot be read: check its path and permissions"),
    ]) func mistakesInFlags(arguments: [String], expected: String) {
        #expect(message { try configuration(arguments) } == expected)
    }

    @Test func mistakesElsewhere() {
        let variable = message { try configuration([], ["MAX_MATCHES": "0"]) }
        #expect(variable == "environment variable MAX_MATCHES: '0' is not a whole number from 1 to 100")
        let line = message { try configuration([], [:], file: "\nCONTEX_RESP_PORT=x\n") }
        #expect(line.hasSuffix("contex.conf:2: CONTEX_RESP_PORT: 'x' is not a port from 0 to 65535, or off"))
        #expect(message { try configuration([], [:], file: "CONTEX_TYPO=1\n") }.contains(":1: unknown setting CONTEX_TYPO"))
        #expect(message { try configuration([], [:], file: "what is this\n") }.contains(":1: a line NAME=value is expected"))
    }

    @Test func aSecretHasNoFlag() {
        #expect(message { try configuration(["--bootstrap-admin-key", "x"]) }.hasPrefix("unknown option"))
    }

    @Test func withoutAuthenticationOnlyLoopbackIsBound() throws {
        for host in ["0.0.0.0", "::", "192.168.1.5", "example.org", "127.evil.example"] {
            #expect(message { try configuration(["--http-host", host]) }.hasPrefix("without authentication only loopback is bound, not \(host)"))
            #expect(message { try configuration(["--resp-host", host]) }.contains(host))
            #expect(try configuration(["--http-host", host, "--auth"]).httpHost == host)
            #expect(try configuration(["--http-host", host, "--insecure-bind"]).httpHost == host)
            #expect(try configuration(["--resp-host", host, "--resp-port", "off"]).respPort == nil)
        }
        for host in ["127.0.0.1", "127.1.2.3", "localhost", "::1"] { #expect(try configuration(["--http-host", host]).httpHost == host) }
    }

    @Test func withACertificateEveryOpenDoorUsesIt() throws {
        let files = ["--tls-cert", "a.pem", "--tls-key", "a.key"]
        let open = ["--http-host", "0.0.0.0", "--auth"]
        // As it was: without a certificate nothing is refused, unless that is wished for.
        #expect(try configuration(open).httpHost == "0.0.0.0")
        #expect(message { try configuration(open + ["--allow-plaintext", "false"]) }.contains("--allow-plaintext"))
        #expect(try configuration(open + files).tls?.least == .thirteen)
        #expect(message { try configuration(open + files + ["--tls-doors", "wire,resp,metrics"]) }.contains("--allow-plaintext"))
        #expect(try configuration(open + files + ["--tls-doors", "wire", "--allow-plaintext", "true"]).speaksTLS(.http) == false)
        // Loopback may stay plain.
        #expect(try configuration(files + ["--tls-doors", "wire"]).speaksTLS(.wire))
        #expect(message { try configuration(["--tls-cert", "a.pem"]) }.contains("the key is missing"))
        #expect(message { try configuration(files + ["--tls-client", "required"]) }.contains("CONTEX_TLS_CLIENT_CA"))
        #expect(try configuration(files + ["--tls-client-ca", "c.pem"]).tls?.client == .required)
        let map = ["--tls-client-ca", "c.pem", "--tls-client-map", "uri:spiffe://a/b=0123456789abcdef, cn:x=fedcba9876543210"]
        #expect(try configuration(files + map).tlsClientMap.map(\.name) == ["uri:spiffe://a/b", "cn:x"])
    }

    /// docs/settings.md is printed from the table; CONTEX_TEST_WRITE=1 writes it anew.
    @Test func theDocumentIsTheTable() throws {
        let url = TestData.checkout.appendingPathComponent("docs/settings.md")
        let text = """
            # Settings

            Each can be given as a flag of `contex serve`, in the environment, or as a line `NAME=value` of the file that
            `--config FILE` or `CONTEX_CONFIG` names. A flag goes before the environment, that before the file, that before
            the default. The names without `CONTEX_` are those of the Python original. Secrets have no flag: every process
            can read a command line.

            One more is read from the environment only, by every command: `CONTEX_KERNELS` = `portable`, `avx2` or `avx512` is the
            most that is used of the processor's vector instructions. What is stored and decided does not depend on it ([decision
            48](decisions/0048-the-same-bits-everywhere.md)), only the last bits of what the embedding model computes.

            `contex mcp --data-dir` takes the same settings from the environment and from the file that `CONTEX_CONFIG` names; it
            opens no port ([MCP](mcp.md)).

            \(Setting.markdown)
            """
        if ProcessInfo.processInfo.environment["CONTEX_TEST_WRITE"] == "1" { try Data(text.utf8).write(to: url) }
        #expect(try String(contentsOf: url, encoding: .utf8) == text)
        for setting in Setting.all { #expect(setting.flag.map { Setting.help.contains("--\($0)") } ?? Setting.help.contains(setting.name)) }
    }
}
