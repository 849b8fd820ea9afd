internal import Answers
internal import Base
internal import Engine
internal import Service

/// What a project chooses for itself.
extension RouteTable {
    private static let place = "/projects/{project_id}/settings"

    private enum Settings {
        static let analyzer = Field.word(
            "analyzer", of: ProjectSettings.analyzerNames, default: nil,
            "How texts and queries become words: english (stems and stop words), simple (folded words, for other languages), code (compounds and "
                + "camelCase, every word as it is)")
    }

    static let settingsRoutes: [Route] = [
        Route(
            "GET", place, bases: .current, action: .showSettings, group: "Projects", "The settings of a project", path: [Fields.project.shape],
            #"{"project_id":"app","analyzer":"english","analyzer_version":2}"#
        ) { call in
            let project = call.path[Fields.project]
            return .json(.object(SettingsShape.settings(try await call.operations.settings(project: project, by: call.caller), of: project)))
        },

        Route(
            "PUT", place, bases: .current, action: .changeSettings, group: "Projects",
            "Choose the analyser of a project; its text index is made anew at once", path: [Fields.project.shape],
            body: .object([Settings.analyzer.shape]), #"{"project_id":"app","analyzer":"code","analyzer_version":2,"nodes_reindexed":12}"#
        ) { call in
            let project = call.path[Fields.project]
            let (settings, nodes) = try await call.operations.setAnalyzer(call.body[Settings.analyzer], project: project, by: call.caller)
            var members = SettingsShape.settings(settings, of: project)
            members["nodes_reindexed"] = .integer(nodes)
            return .json(.object(members))
        },
    ]
}
