public import Base
internal import Content
public import Engine

public enum SettingsShape {
    /// The settings of a project.
    public static func settings(_ settings: ProjectSettings, of project: Name) -> JSONObject {
        JSONObject([
            ("project_id", .string(project.text)), ("analyzer", .string(settings.analyzer)),
            ("analyzer_version", .integer(settings.analyzerVersion)),
        ])
    }
}
