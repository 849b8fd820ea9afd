// swift-tools-version: 6.2
// Speed and size of Contex's full text index beside others. A package of its own, so that a daily build never compiles it:
//
//     Benchmarks/FullText/prepare.py DATA
//     CONTEX_TARGETS=FullText swift build -c release --package-path Benchmarks/FullText
//     Benchmarks/FullText/compare.py DATA Benchmarks/FullText/.build/release/FullTextBenchmark

import PackageDescription

let package = Package(
    name: "FullTextBenchmark",
    platforms: [.macOS(.v26)],
    dependencies: [.package(name: "contex", path: "../..")],
    targets: [
        .executableTarget(
            name: "FullTextBenchmark", dependencies: [.product(name: "ContexKit", package: "contex")],
            swiftSettings: [
                .swiftLanguageMode(.v6),
                .enableUpcomingFeature("ExistentialAny"),
                .enableUpcomingFeature("MemberImportVisibility"),
                .treatAllWarnings(as: .error),
            ])
    ]
)
