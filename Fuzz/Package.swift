// swift-tools-version: 6.2
// libFuzzer around the fuzz targets of Tests/FuzzTargets. A package of its own, because it links only with the sanitizer flags
// that tools/fuzz gives on the command line:
//
//     tools/fuzz json 60

import PackageDescription

let package = Package(
    name: "Fuzz",
    platforms: [.macOS(.v26)],
    dependencies: [.package(name: "contex", path: "..")],
    targets: [
        .systemLibrary(name: "CLibFuzzer"),
        .executableTarget(
            name: "Fuzz", dependencies: ["CLibFuzzer", .product(name: "FuzzTargets", package: "contex")],
            swiftSettings: [
                .swiftLanguageMode(.v6),
                .enableUpcomingFeature("ExistentialAny"),
                .enableUpcomingFeature("InternalImportsByDefault"),
                .enableUpcomingFeature("MemberImportVisibility"),
                .treatAllWarnings(as: .error),
            ]),
    ]
)
