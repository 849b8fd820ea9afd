// swift-tools-version: 6.2
// Contex: one binary, one LMDB store. The table of modules below is the house; `tools/tidy` holds the sources to it.
//
// CONTEX_TARGETS=ContentTests,TOONTests restricts the package to these targets and what they need, so that one suite
// builds without the rest (tools/test --only Content).

import PackageDescription

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableExperimentalFeature("Lifetimes"),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
]

// MARK: - External packages

struct External {
    let package: String
    let dependency: Package.Dependency
}

let externals: [External] = [
    External(package: "swift-argument-parser", dependency: .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")),
    External(package: "swift-collections", dependency: .package(url: "https://github.com/apple/swift-collections", from: "1.6.0")),
    External(package: "swift-log", dependency: .package(url: "https://github.com/apple/swift-log", from: "1.16.2")),
    External(package: "swift-nio", dependency: .package(url: "https://github.com/apple/swift-nio", from: "2.101.2")),
    External(package: "swift-nio-ssl", dependency: .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6")),
    External(package: "swift-nio-http2", dependency: .package(url: "https://github.com/apple/swift-nio-http2", from: "1.46.0")),
    External(package: "async-http-client", dependency: .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0")),
    External(package: "swift-service-lifecycle", dependency: .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0")),
    External(package: "Yams", dependency: .package(url: "https://github.com/jpsim/Yams", from: "6.2.2")),
    External(package: "TOMLKit", dependency: .package(url: "https://github.com/LebJe/TOMLKit", from: "0.6.0")),
]

func product(_ name: String, _ package: String) -> Target.Dependency { .product(name: name, package: package) }

// MARK: - Modules, level by level (docs/tour.md). Imports go down only.

struct Module {
    let name: String
    var uses: [String] = []
    var products: [(String, String)] = []
    var target: Target
}

func module(_ name: String, _ uses: [String] = [], _ products: [(String, String)] = []) -> Module {
    Module(
        name: name, uses: uses, products: products,
        target: .target(
            name: name, dependencies: uses.map { .byName(name: $0) } + products.map { product($0.0, $0.1) },
            swiftSettings: settings))
}

func tests(_ name: String, _ uses: [String] = [], _ products: [(String, String)] = []) -> Module {
    Module(
        name: name, uses: uses, products: products,
        target: .testTarget(
            name: name, dependencies: uses.map { .byName(name: $0) } + products.map { product($0.0, $0.1) },
            swiftSettings: settings))
}

func face(_ name: String, pkgConfig: String?, apt: String) -> Module {
    Module(name: name, target: .systemLibrary(name: name, pkgConfig: pkgConfig, providers: [.apt([apt])]))
}

let modules: [Module] = [
    // Level 0: faces of C libraries, and our own SIMD kernels.
    face("CLMDB", pkgConfig: "lmdb", apt: "liblmdb-dev"),
    face("CCrypto", pkgConfig: "libcrypto", apt: "libssl-dev"),
    face("CCmark", pkgConfig: "libcmark", apt: "libcmark-dev"),
    face("CZlib", pkgConfig: "zlib", apt: "zlib1g-dev"),
    face("CZstd", pkgConfig: "libzstd", apt: "libzstd-dev"),
    Module(name: "CKernels", target: .target(name: "CKernels", cSettings: [.define("NDEBUG")])),

    // Level 1
    module("Base", ["CKernels"]),

    // Level 2: one area each, bytes in and values out.
    module("LMDB", ["Base", "CLMDB"]),
    module("Hashing", ["Base", "CCrypto"]),
    module("Content", ["Base", "CCmark"], [("Yams", "Yams")]),
    module("TOON", ["Base"]),
    module("RESP", ["Base"]),
    module("Wire", ["Base"]),
    module("Addresses", ["Base"]),
    module("Tokens", ["Base"]),
    module("Codings", ["CZlib", "CZstd"]),
    module("Measures"),

    // Level 3
    module("KeySpace", ["Base", "LMDB"]),
    module("Embedding", ["Base", "CKernels", "Hashing", "Tokens"]),
    module("Archives", ["Base", "Codings", "Hashing"]),
    module("MCPMessages", ["Base", "Content"]),
    module("Traces", ["Measures"]),
    module("BearerTokens", ["Base", "Content", "Hashing"]),

    // Level 4: stores and registries.
    module("Events", ["Base", "LMDB", "KeySpace", "Hashing"]),
    module("Documents", ["Base", "LMDB", "KeySpace", "Hashing"]),
    module("Vectors", ["Base", "CKernels", "LMDB", "KeySpace"]),
    module("FullText", ["Base", "CKernels", "LMDB", "KeySpace"]),
    module("Attributes", ["Base", "LMDB", "KeySpace", "Hashing"]),
    module("Needs", ["Base", "CKernels", "LMDB", "KeySpace"]),
    module("Access", ["Base", "Addresses", "LMDB", "KeySpace", "Hashing", "BearerTokens"]),
    module("Inboxes", ["Base", "LMDB", "KeySpace"]),
    module("Outbox", ["Base", "LMDB", "KeySpace"]),
    module("Rates", ["Base", "LMDB", "KeySpace"]),
    module("Tenants", ["Base", "LMDB", "KeySpace", "Content"]),
    module("Audit", ["Base", "LMDB", "KeySpace", "Hashing"]),
    module("Journal", ["Base", "LMDB", "KeySpace", "Hashing"]),
    module("Search", ["Base"]),

    // Level 5
    module(
        "Engine",
        ["Base", "Measures", "Traces", "LMDB", "KeySpace", "Hashing", "Content", "TOON", "Tokens", "Embedding", "Events", "Documents", "Vectors", "FullText",
         "Attributes", "Needs", "Access", "BearerTokens", "Inboxes", "Outbox", "Rates", "Tenants", "Audit", "Journal", "Search", "Addresses"],
        [("NIOPosix", "swift-nio"), ("DequeModule", "swift-collections")]),

    // Level 6
    module(
        "Maintenance",
        ["Base", "LMDB", "KeySpace", "Hashing", "Archives", "Content", "Events", "Documents", "Vectors", "FullText", "Attributes", "Needs", "Access",
         "Inboxes", "Outbox", "Audit", "Rates", "Tenants", "Journal", "Engine"]),
    module("Observability", ["Base", "Measures"]),
    module(
        "TraceExport", ["Base", "Content", "Traces"],
        [("AsyncHTTPClient", "async-http-client"), ("Logging", "swift-log"), ("NIOCore", "swift-nio"), ("NIOHTTP1", "swift-nio")]),
    module(
        "TLS", ["Base"],
        [("NIOCore", "swift-nio"), ("NIOPosix", "swift-nio"), ("NIOTLS", "swift-nio"), ("NIOSSL", "swift-nio-ssl"), ("Logging", "swift-log")]),
    module(
        "Service",
        ["Base", "Measures", "Traces", "Addresses", "Content", "Hashing", "Engine", "Events", "Inboxes", "Outbox", "Rates", "Tenants", "Audit", "Access",
         "BearerTokens", "Journal"],
        [("Logging", "swift-log")]),

    // Level 7: what an answer looks like, the same at every edge.
    module(
        "Answers",
        ["Base", "Content", "TOON", "Engine", "Events", "Needs", "Inboxes", "Outbox", "Rates", "Tenants", "Audit", "Access", "BearerTokens",
         "Search", "Service"]),

    // Level 8: edges. Bytes to Service calls and back; and what goes out by itself.
    module(
        "Webhooks", ["Base", "Traces", "Addresses", "Answers", "Engine", "Events", "Needs", "Outbox", "Hashing", "Content"],
        [("AsyncHTTPClient", "async-http-client"), ("NIOCore", "swift-nio"), ("NIOHTTP1", "swift-nio"), ("NIOPosix", "swift-nio"),
         ("Logging", "swift-log"), ("DequeModule", "swift-collections")]),

    module(
        "HTTPAPI",
        ["Base", "Measures", "Traces", "Addresses", "Answers", "Content", "TOON", "Codings", "Observability", "Service", "Search", "Engine", "Events",
         "Attributes", "Needs", "Inboxes", "Outbox", "Rates", "Tenants", "Audit", "Access", "BearerTokens", "TLS"],
        [("NIOCore", "swift-nio"), ("NIOHTTP1", "swift-nio"), ("NIOHTTP2", "swift-nio-http2"), ("NIOWebSocket", "swift-nio"),
         ("NIOPosix", "swift-nio"), ("Logging", "swift-log"),
         ("ServiceLifecycle", "swift-service-lifecycle")]),
    module(
        "RESPServer", ["Base", "RESP", "Addresses", "Answers", "Service", "Engine", "Access", "TLS"],
        [("NIOCore", "swift-nio"), ("NIOPosix", "swift-nio"), ("Logging", "swift-log")]),

    module(
        "WireServer",
        ["Base", "Wire", "Addresses", "Answers", "Codings", "Content", "Service", "Search", "Engine", "Events", "Attributes", "Needs", "Inboxes",
         "Access", "TLS"],
        [("NIOCore", "swift-nio"), ("NIOPosix", "swift-nio"), ("Logging", "swift-log"), ("DequeModule", "swift-collections"),
         ("ServiceLifecycle", "swift-service-lifecycle")]),

    module(
        "MCPServer",
        ["Base", "Content", "MCPMessages", "Answers", "Service", "Search", "Engine", "Events", "Attributes", "Needs", "Inboxes"],
        [("Logging", "swift-log")]),

    // Apart: what clients of the binary protocol build on.
    module("ContexClient", ["Base", "Wire"], [("NIOCore", "swift-nio"), ("NIOPosix", "swift-nio"), ("NIOSSL", "swift-nio-ssl")]),

    // Level 9
    module(
        "Assembly",
        ["Base", "Measures", "Traces", "TraceExport", "Addresses", "Answers", "Content", "Embedding", "Tokens", "Search", "Engine", "Journal", "Maintenance",
         "Observability",
         "Service", "Needs", "Access", "Rates", "Webhooks", "HTTPAPI", "RESPServer", "WireServer", "MCPMessages",
         "MCPServer", "TLS"],
        [("NIOCore", "swift-nio"), ("NIOPosix", "swift-nio"), ("Logging", "swift-log"), ("ServiceLifecycle", "swift-service-lifecycle")]),

    // Level 10: the command line.
    Module(
        name: "contex",
        uses: ["Base", "Addresses", "Archives", "Content", "TOON", "Access", "Audit", "Search", "Engine", "Journal", "Maintenance",
               "Observability", "Service", "Webhooks", "MCPMessages", "MCPServer", "TLS", "Assembly"],
        products: [("ArgumentParser", "swift-argument-parser"), ("AsyncHTTPClient", "async-http-client"), ("NIOCore", "swift-nio"),
                   ("NIOHTTP1", "swift-nio"), ("NIOSSL", "swift-nio-ssl")],
        target: .executableTarget(
            name: "contex",
            dependencies: [
                "Base", "Addresses", "Archives", "Content", "TOON", "Access", "Audit", "Search", "Engine", "Journal", "Maintenance", "Observability",
                "Service", "Webhooks", "MCPMessages", "MCPServer", "TLS", "Assembly",
                product("ArgumentParser", "swift-argument-parser"), product("AsyncHTTPClient", "async-http-client"),
                product("NIOCore", "swift-nio"), product("NIOHTTP1", "swift-nio"), product("NIOSSL", "swift-nio-ssl"),
            ],
            swiftSettings: settings)),

    // Tests
    Module(
        name: "TestSupport", uses: ["Base", "LMDB", "KeySpace", "Wire"],
        target: .target(name: "TestSupport", dependencies: ["Base", "LMDB", "KeySpace", "Wire"], path: "Tests/TestSupport", swiftSettings: settings)),
    Module(
        name: "FuzzTargets",
        uses: ["Base", "Hashing", "LMDB", "KeySpace", "Codings", "Content", "TOON", "RESP", "Wire", "Addresses", "Tokens", "Embedding", "Archives",
               "Events", "Documents", "Vectors", "FullText", "Attributes", "Needs", "Inboxes", "Outbox", "BearerTokens", "Access", "Journal", "Engine",
               "Maintenance",
               "Service", "HTTPAPI", "MCPMessages", "TestSupport"],
        target: .target(
            name: "FuzzTargets",
            dependencies: [
                "Base", "Hashing", "LMDB", "KeySpace", "Codings", "Content", "TOON", "RESP", "Wire", "Addresses", "Tokens", "Embedding", "Archives",
                "Events", "Documents", "Vectors", "FullText", "Attributes", "Needs", "Inboxes", "Outbox", "BearerTokens", "Access", "Journal", "Engine",
                "Maintenance", "Service", "HTTPAPI", "MCPMessages", "TestSupport",
            ],
            path: "Tests/FuzzTargets", swiftSettings: settings)),
    tests("FuzzReplayTests", ["Base", "FuzzTargets", "TestSupport"]),
    tests("BaseTests", ["Base", "CKernels", "TestSupport"]),
    tests("LMDBTests", ["Base", "LMDB", "TestSupport"]),
    tests("HashingTests", ["Base", "Hashing", "TestSupport"]),
    tests("ContentTests", ["Base", "Content", "TestSupport"], [("Yams", "Yams"), ("TOMLKit", "TOMLKit")]),
    tests("TOONTests", ["Base", "Content", "TOON", "TestSupport"]),
    tests("RESPTests", ["Base", "RESP", "TestSupport"]),
    tests("WireTests", ["Base", "Codings", "Wire", "TestSupport"]),
    tests("TokensTests", ["Base", "Tokens", "TestSupport"]),
    tests("CodingsTests", ["Base", "Codings", "TestSupport"]),
    tests("ArchivesTests", ["Base", "Codings", "Hashing", "Archives", "TestSupport"]),
    tests("MeasuresTests", ["Measures", "TestSupport"]),
    tests("TracesTests", ["Base", "Content", "Traces", "TraceExport", "TestSupport"]),
    tests("ObservabilityTests", ["Base", "Content", "Measures", "Observability", "TestSupport"]),
    tests("BearerTokensTests", ["Base", "Content", "Hashing", "BearerTokens", "TestSupport"]),
    tests("MCPMessagesTests", ["Base", "Content", "MCPMessages", "TestSupport"]),
    tests("KeySpaceTests", ["Base", "LMDB", "KeySpace", "TestSupport"]),
    tests("EmbeddingTests", ["Base", "CKernels", "Embedding", "Hashing", "Tokens", "TestSupport"]),
    tests("EventsTests", ["Base", "LMDB", "KeySpace", "Hashing", "Events", "TestSupport"]),
    tests("DocumentsTests", ["Base", "LMDB", "KeySpace", "Hashing", "Documents", "TestSupport"]),
    tests("VectorsTests", ["Base", "CKernels", "LMDB", "KeySpace", "Vectors", "TestSupport"]),
    tests("FullTextTests", ["Base", "CKernels", "LMDB", "KeySpace", "FullText", "TestSupport"]),
    tests("AttributesTests", ["Base", "Content", "LMDB", "KeySpace", "Attributes", "TestSupport"]),
    tests("NeedsTests", ["Base", "LMDB", "KeySpace", "Needs", "TestSupport"]),
    tests("SearchTests", ["Base", "Search", "TestSupport"]),
    tests("RatesTests", ["Base", "LMDB", "KeySpace", "Rates", "TestSupport"]),
    tests("TenantsTests", ["Base", "LMDB", "KeySpace", "Tenants", "TestSupport"]),
    tests("AuditTests", ["Base", "LMDB", "KeySpace", "Hashing", "Audit", "TestSupport"]),
    tests("AccessTests", ["Base", "Addresses", "LMDB", "KeySpace", "Hashing", "BearerTokens", "Access", "TestSupport"]),
    tests(
        "EngineTests",
        ["Base", "Measures", "Addresses", "Hashing", "LMDB", "KeySpace", "Content", "Tokens", "Embedding", "Events", "Documents", "Vectors", "FullText",
         "Attributes", "Needs", "Access", "Inboxes", "Outbox", "Audit", "Rates", "Tenants", "Journal", "Search", "TOON", "Engine", "Archives",
         "Maintenance", "Answers", "TestSupport"]),
    tests(
        "ServiceTests",
        ["Base", "Measures", "Audit", "Rates", "Tenants", "Needs", "Search", "Engine", "Maintenance", "Access", "BearerTokens", "Service", "TestSupport"],
        [("Logging", "swift-log")]),
    tests(
        "WebhooksTests", ["Base", "Addresses", "Content", "Hashing", "Engine", "Events", "Needs", "Outbox", "Webhooks", "TestSupport"],
        [("NIOCore", "swift-nio"), ("NIOPosix", "swift-nio"), ("Logging", "swift-log")]),
    tests(
        "HTTPAPITests",
        ["Base", "LMDB", "KeySpace", "Content", "TOON", "Tenants", "Engine", "Maintenance", "Access", "Service", "HTTPAPI", "Traces", "TestSupport"],
        [("Logging", "swift-log")]),
    tests(
        "RESPServerTests", ["Base", "RESP", "Needs", "Search", "Engine", "Service", "Answers", "Access", "RESPServer", "TestSupport"],
        [("NIOCore", "swift-nio"), ("NIOPosix", "swift-nio"), ("Logging", "swift-log")]),
    tests(
        "MCPServerTests",
        ["Base", "Content", "Tokens", "Engine", "Access", "Service", "MCPMessages", "MCPServer", "TestSupport"]),
    tests(
        "ServerTests",
        ["Base", "LMDB", "KeySpace", "Content", "TOON", "RESP", "Wire", "Engine", "Maintenance", "Access", "Observability", "Service", "HTTPAPI",
         "RESPServer", "ContexClient", "Assembly", "TLS", "TestSupport", "contex", "Measures"],
        [("AsyncHTTPClient", "async-http-client"), ("Logging", "swift-log"), ("NIOCore", "swift-nio"), ("NIOHTTP1", "swift-nio"), ("NIOPosix", "swift-nio")]),
]

// MARK: - The package, or the part of it that CONTEX_TARGETS names

let byName = Dictionary(uniqueKeysWithValues: modules.map { ($0.name, $0) })
var wanted = Set(modules.map(\.name))
if let names = Context.environment["CONTEX_TARGETS"], !names.isEmpty {
    wanted = []
    var open = names.split(separator: ",").map(String.init)
    while let next = open.popLast() {
        if wanted.insert(next).inserted { open += byName[next]?.uses ?? [] }
    }
}
let chosen = modules.filter { wanted.contains($0.name) }
let packagesInUse = Set(chosen.flatMap { $0.products.map(\.1) })

// What the packages in Benchmarks/ may import; Fuzz/ takes FuzzTargets.
let kit = [
    "Base", "LMDB", "KeySpace", "Content", "Tokens", "Embedding", "FullText", "Vectors", "Attributes", "Needs", "Search", "Engine",
    "Maintenance",
].filter(wanted.contains)

let package = Package(
    name: "contex",
    platforms: [.macOS(.v26)],
    products: (wanted.contains("contex") ? [.executable(name: "contex", targets: ["contex"])] : [])
        + (kit.isEmpty ? [] : [.library(name: "ContexKit", targets: kit)])
        + (wanted.contains("Wire") ? [.library(name: "ContexWire", targets: ["Wire", "Base"])] : [])
        + (wanted.contains("ContexClient") ? [.library(name: "ContexClient", targets: ["ContexClient", "Wire", "Base"])] : [])
        + (wanted.contains("FuzzTargets") ? [.library(name: "FuzzTargets", targets: ["FuzzTargets"])] : []),
    dependencies: externals.filter { packagesInUse.contains($0.package) }.map(\.dependency),
    targets: chosen.map(\.target),
    cxxLanguageStandard: .cxx17
)
