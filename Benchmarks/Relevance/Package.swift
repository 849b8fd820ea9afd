// swift-tools-version: 6.2
// nDCG@10 of Contex's rankings on public relevance sets, and what a query costs beside the vector search in it. A package of its own, so that a
// daily build never compiles it:
//
//     CONTEX_TARGETS=Engine swift run -c release --package-path Benchmarks/Relevance Relevance --help
//     CONTEX_TARGETS=Engine swift run -c release --package-path Benchmarks/Relevance HybridBenchmark

import PackageDescription

let package = Package(
    name: "Relevance",
    platforms: [.macOS(.v26)],
    dependencies: [.package(name: "contex", path: "../..")],
    targets: [
        .executableTarget(
            name: "Relevance", dependencies: [.product(name: "ContexKit", package: "contex")],
            swiftSettings: [
                .swiftLanguageMode(.v6),
                .enableUpcomingFeature("ExistentialAny"),
                .enableUpcomingFeature("MemberImportVisibility"),
                .treatAllWarnings(as: .error),
            ]),
        .executableTarget(
            name: "HybridBenchmark", dependencies: [.product(name: "ContexKit", package: "contex")],
            swiftSettings: [
                .swiftLanguageMode(.v6),
                .enableUpcomingFeature("ExistentialAny"),
                .enableUpcomingFeature("MemberImportVisibility"),
                .treatAllWarnings(as: .error),
            ]),
    ]
)
