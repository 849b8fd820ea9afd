// swift-tools-version: 6.2
// Many vectors at once: import and reindex with the graph built on all cores, beside single inserts. A package of its own, so
// that a daily build never compiles it; docs/performance.md has the figures.

import PackageDescription

let package = Package(
    name: "BulkBenchmark",
    platforms: [.macOS(.v26)],
    dependencies: [.package(name: "contex", path: "../..")],
    targets: [
        .executableTarget(
            name: "BulkBenchmark", dependencies: [.product(name: "ContexKit", package: "contex")],
            swiftSettings: [
                .swiftLanguageMode(.v6),
                .enableUpcomingFeature("ExistentialAny"),
                .enableUpcomingFeature("MemberImportVisibility"),
                .treatAllWarnings(as: .error),
            ])
    ]
)
