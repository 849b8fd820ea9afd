internal import Content
internal import Service
internal import Synchronization

/// What the API says about itself.
extension RouteTable {
    private static let group = "Documentation"

    /// Anybody may ask for them as often as he likes, so each is made once.
    private static let pages = Mutex<[String: [UInt8]]>([:])

    private static func page(_ name: String, _ version: String, _ make: () -> [UInt8]) -> [UInt8] {
        pages.withLock { pages in
            if let page = pages[name + version] { return page }
            let page = make()
            pages[name + version] = page
            return page
        }
    }

    static let documentationRoutes: [Route] = [
        Route(
            "GET", "/openapi.json", bases: .root, action: .showHealth, group: group, "This API in OpenAPI 3.1", #"{"openapi":"3.1.0"}"#
        ) { call in
            let version = call.server.version
            return .bytes(page("openapi ", version) { JSONPrinter.bytes(OpenAPIDocument.json(version: version)) }, contentType: "application/json")
        },

        Route(
            "GET", "/docs", bases: .root, action: .showHealth, group: group, "This API for people", answers: "text/html", ""
        ) { call in
            let version = call.server.version
            return .bytes(
                page("docs ", version) { Array(DocumentationPage.html(version: version).utf8) }, contentType: "text/html; charset=utf-8",
                headers: [("Content-Security-Policy", DocumentationPage.contentPolicy)])
        },
    ]
}
