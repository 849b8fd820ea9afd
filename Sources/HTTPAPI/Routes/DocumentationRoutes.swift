internal import Service

/// What the API says about itself.
extension RouteTable {
    private static let group = "Documentation"

    static let documentationRoutes: [Route] = [
        Route(
            "GET", "/openapi.json", bases: .root, action: .showHealth, group: group, "This API in OpenAPI 3.1", #"{"openapi":"3.1.0"}"#
        ) { call in .json(OpenAPIDocument.json(version: call.server.version)) },

        Route(
            "GET", "/docs", bases: .root, action: .showHealth, group: group, "This API for people", answers: "text/html", ""
        ) { call in
            .bytes(
                Array(DocumentationPage.html(version: call.server.version).utf8), contentType: "text/html; charset=utf-8",
                headers: [("Content-Security-Policy", DocumentationPage.contentPolicy)])
        },
    ]
}
