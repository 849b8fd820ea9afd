// swift-tools-version: 6.2
// The doors of a running server under load: pings and queries over the binary protocol, and the same queries over HTTP, by clients that
// cost little. A package of its own, so that a daily build never compiles it. It needs no dependency of the server:
//
//     CONTEX_TARGETS=Wire swift build -c release --package-path Benchmarks/Server
//
// `tools/proof wire` starts the server, fills it and runs this; docs/performance.md has the figures.

import PackageDescription

let package = Package(
    name: "ServerBenchmark",
    platforms: [.macOS(.v26)],
    dependencies: [.package(name: "contex", path: "../..")],
    targets: [
        .executableTarget(
            name: "ServerBenchmark", dependencies: [.product(name: "ContexWire", package: "contex")],
            swiftSettings: [
                .swiftLanguageMode(.v6),
                .enableUpcomingFeature("ExistentialAny"),
                .enableUpcomingFeature("MemberImportVisibility"),
                .treatAllWarnings(as: .error),
            ])
    ]
)
