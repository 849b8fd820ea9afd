internal import Answers
internal import Base
internal import Content
internal import Engine
internal import Service

/// What a key held before, read from the log.
extension RouteTable {
    private static let group = "Versions"
    private static let place = "/versions/projects/{project_id}/data/{data_key}"
    private static let versionExample =
        #"""
        {"project_id":"app","data_key":"tech","sequence":"1","timestamp":"2026-01-01T00:00:00+00:00","data":{"db":"PostgreSQL"},
        "data_format":"json","description":"root | db: PostgreSQL"}
        """#

    private enum Version {
        static let limit = Field.integer("limit", min: 1, max: nil, default: 100, "Versions at most; an answer that is not whole gives the cursor to the rest")
        static let sequence = Field.text("sequence", "The event that made the version")
        static let from = Field.text("from_sequence", "The earlier version")
        static let to = Field.text("to_sequence", "The later version")
    }

    static let versionRoutes: [Route] = [
        Route(
            "GET", place + "/history", bases: .current, action: .readVersions, group: group, "All versions of a key, newest first",
            path: [Fields.project.shape, Fields.key.shape], query: [Version.limit.shape, Fields.cursor.shape],
            #"""
            {"project_id":"app","data_key":"tech","versions":[{"sequence":"1","timestamp":"2026-01-01T00:00:00+00:00",
            "data":{"db":"PostgreSQL"},"data_format":"json","description":"root | db: PostgreSQL","event_type":"tech_updated"}],"count":1}
            """#
        ) { call in
            let (project, key) = (call.path[Fields.project], call.path[Fields.key])
            let page = try await inQuery {
                try await call.operations.history(
                    project: project, key: key, PageRequest(limit: call.query[Version.limit], cursor: call.query[Fields.cursor]), by: call.caller
                ) { version in
                    (VersionShape.listed(version), version.dataText.count)
                }
            }
            return call.object(VersionShape.history(of: key, project, page.items), next: page.next)
        },

        Route(
            "GET", place + "/version/{sequence}", bases: .current, action: .readVersions, group: group, "One version of a key",
            path: [Fields.project.shape, Fields.key.shape, Version.sequence.shape], versionExample
        ) { call in
            let (project, key) = (call.path[Fields.project], call.path[Fields.key])
            let version = try await call.operations.version(
                project: project, key: key, sequence: try sequence(call.path[Version.sequence], of: key), by: call.caller)
            return .bytes(VersionShape.version(version, of: key, project), contentType: "application/json")
        },

        Route(
            "GET", place + "/diff", bases: .current, action: .readVersions, group: group, "Two versions of a key beside each other",
            path: [Fields.project.shape, Fields.key.shape], query: [Version.from.shape, Version.to.shape],
            #"""
            {"project_id":"app","data_key":"tech","from_sequence":"1","to_sequence":"2","from_data":{"db":"PostgreSQL"},
            "to_data":{"db":"LMDB"},"changed":true}
            """#
        ) { call in
            let (project, key) = (call.path[Fields.project], call.path[Fields.key])
            let difference = try await call.operations.difference(
                project: project, key: key, from: try sequence(call.query[Version.from], of: key),
                to: try sequence(call.query[Version.to], of: key), by: call.caller)
            return .bytes(VersionShape.difference(difference, of: key, project), contentType: "application/json")
        },

        Route(
            "POST", place + "/restore/{sequence}", bases: .current, action: .restoreVersion, group: group,
            "Publish an earlier version again", path: [Fields.project.shape, Fields.key.shape, Version.sequence.shape],
            #"{"project_id":"app","data_key":"tech","restored_from":"1","new_sequence":"3","data":{"db":"PostgreSQL"}}"#
        ) { call in
            let (project, key) = (call.path[Fields.project], call.path[Fields.key])
            let restored = try sequence(call.path[Version.sequence], of: key)
            let (receipt, data) = try await call.operations.restore(project: project, key: key, sequence: restored, by: call.caller)
            return .json([
                "project_id": .string(project.text), "data_key": .string(key.text), "restored_from": .string(restored.description),
                "new_sequence": .string(receipt.sequence.description), "data": data,
            ])
        },
    ]

    /// A text that names no version is a version that is not there.
    private static func sequence(_ text: String, of key: Name) throws -> Sequence {
        guard let number = UInt64(text), number > 0, number <= UInt64(Int.max) else {
            throw ContexError(.versionNotFound, "Version \(text.excerpt()) not found for \(key.text.excerpt())")
        }
        return Sequence(rawValue: number)
    }
}
