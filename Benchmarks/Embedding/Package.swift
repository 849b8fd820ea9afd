// swift-tools-version: 6.2
// Contex's embedding beside onnxruntime and sentence-transformers. A package of its own, so that a daily build never compiles it:
//
//     Benchmarks/Embedding/setup
//     CONTEX_TARGETS=Embedding swift run -c release --package-path Benchmarks/Embedding EmbeddingBenchmark all

import PackageDescription

let package = Package(
    name: "EmbeddingBenchmark",
    platforms: [.macOS(.v26)],
    dependencies: [.package(name: "contex", path: "../..")],
    targets: [
        .executableTarget(
            name: "EmbeddingBenchmark", dependencies: [.product(name: "ContexKit", package: "contex")],
            swiftSettings: [
                .swiftLanguageMode(.v6),
                .enableUpcomingFeature("ExistentialAny"),
                .enableUpcomingFeature("MemberImportVisibility"),
                .treatAllWarnings(as: .error),
            ])
    ]
)
