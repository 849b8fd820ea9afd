// swift-tools-version: 6.2
// Speed and size of the attribute index, beside a scan that reads each document's metadata. A package of its own, so that a
// daily build never compiles it:
//
//     CONTEX_TARGETS=Attributes,Content swift build -c release --package-path Benchmarks/Attributes
//     Benchmarks/Attributes/.build/release/AttributeBenchmark .bench-data/attributes 100000
//
// docs/decisions/0025-attribute-index.md has the figures.

import PackageDescription

let package = Package(
    name: "AttributeBenchmark",
    platforms: [.macOS(.v26)],
    dependencies: [.package(name: "contex", path: "../..")],
    targets: [
        .executableTarget(
            name: "AttributeBenchmark", dependencies: [.product(name: "ContexKit", package: "contex")],
            swiftSettings: [
                .swiftLanguageMode(.v6),
                .enableUpcomingFeature("ExistentialAny"),
                .enableUpcomingFeature("MemberImportVisibility"),
                .treatAllWarnings(as: .error),
            ])
    ]
)
