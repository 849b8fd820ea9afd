internal import Answers
internal import Base
internal import Content
internal import Engine
internal import Service
internal import TOON

/// Data under keys: publish, delete, list, export, import.
extension RouteTable {
    private static let group = "Data"

    private enum Publish {
        static let data = Field.anything("data", "Any JSON: an object, or a text in one of the formats")
        static let format = Field.optionalText(
            "data_format", scalarsMax: Limits.nameScalars,
            "json, yaml, toml, csv, xml, markdown, code, text, ini, properties or env; by the ending of the key, or found out, when not given")
        static let eventType = Field.optionalText("event_type", scalarsMax: Limits.nameScalars, "The event's name, <data_key>_updated when not given")
        static let vector = Field.optionalVector(
            "vector", "The publisher's own vector, of the model's dimension and any length but zero: the data is then one node, and its text is not embedded")
        static let metadata = Field.metadata("metadata", "What filters can ask of the data; replaces what the key had")
        static let lifetime = Field.optionalInteger(
            "ttl_seconds", min: 1, max: Limits.lifetimeSeconds,
            "Seconds after which the data is deleted by itself; never when neither this nor expires_at is given")
        static let end = Field.optionalText("expires_at", scalarsMax: 64, "When it is deleted by itself (ISO 8601), instead of ttl_seconds")
        static let shapes = [
            Fields.project.shape, Fields.key.shape, data.shape, format.shape, eventType.shape, vector.shape, metadata.shape, lifetime.shape, end.shape,
        ]

        static func command(_ body: FieldValues, at now: Timestamp) throws -> PublishCommand {
            var command = PublishCommand(
                project: body[Fields.project], key: body[Fields.key], data: body[data], format: body[format], eventType: body[eventType],
                vector: body[vector], metadata: body[metadata])
            command.expiresAt = try DataEnd.time(lifetime: body[lifetime], end: body[end], at: now)
            return command
        }
    }

    private enum Listing {
        static let includeContent = Field.flag("include_content", default: true, "False: only the keys")
        static let includeEvents = Field.flag("include_events", default: false, "Export, with the events")
        static let includeEmbeddings = Field.flag("include_embeddings", default: false, "Export, with the nodes")
        static let includeAgents = Field.flag("include_agents", default: false, "Export, with the agents")
        static let shapes = [
            includeContent.shape, Fields.format.shape, includeEvents.shape, includeEmbeddings.shape, includeAgents.shape, Fields.asOf.shape,
        ] + Fields.paging
    }

    private enum Deleting {
        static let erase = "erase"
        static let history = Field.word("history", of: ["keep", erase], default: "keep", "Whether the versions that the key had stay readable")
    }

    private enum Import {
        static let format = Field.text("format", default: "json", "json or toon")
        static let validateOnly = Field.flag("validate_only", default: false, "Check the document and change nothing")
        static let overwrite = Field.flag("overwrite", default: false, "Replace what the project has")
    }

    static let dataRoutes: [Route] = [
        Route(
            "POST", "/data/publish", action: .publish, group: group, "Publish data under a key and tell the agents that need it",
            body: .object(Publish.shapes), #"{"status":"published","project_id":"app","data_key":"tech","sequence":"1"}"#
        ) { call in
            let receipt = try await call.operations.publish(Publish.command(call.body, at: call.server.clock.now()), by: call.caller)
            return .json(.object(DataShape.published(receipt)))
        },

        Route(
            "POST", "/batch/publish", action: .publishBatch, group: group, "Publish many; each succeeds or fails by itself",
            body: .objects(Publish.shapes, countMax: Limits.batchItems),
            #"""
            {"status":"completed","total":1,"successful":1,"failed":0,"duration_ms":2.5,"results":[{"status":"success","project_id":"app",
            "data_key":"tech","sequence":"1"}]}
            """#
        ) { call in
            let now = call.server.clock.now()
            let commands = try call.bodyContent.items.map { try Publish.command($0, at: now) }
            return try await batch(commands) { commands in
                try await call.operations.publishBatch(commands, by: call.caller)
            } success: { _, receipt in
                DataShape.batchItem(receipt)
            } failure: { command in
                JSONObject([("status", "failed"), ("project_id", .string(command.project.text)), ("data_key", .string(command.key.text))])
            }
        },

        Route(
            "GET", "/projects", bases: .current, action: .listProjects, group: group, "The projects that the caller may see", query: Fields.paging,
            #"""
            {"projects":[{"project_id":"app","documents":1,"nodes":1,"agents":0,"last_sequence":"1",
            "created_at":"2026-01-01T00:00:00+00:00"}],"count":1}
            """#
        ) { call in
            let page = try await inQuery { try await call.operations.projects(call.page, by: call.caller) }
            return call.object(DataShape.projects(page.items), next: page.next)
        },

        Route(
            "GET", "/projects/{project_id}/data", action: .listData, group: group,
            "The nodes of a project; its keys; or, with any include flag, an export",
            path: [Fields.project.shape], query: Listing.shapes, or: AnswerFormat.otherContentTypes,
            #"""
            [{"data_key":"tech.root","description":"root | db: PostgreSQL","data":{"db":"PostgreSQL"},"data_format":"json",
            "is_structured":true,"toon":"db: PostgreSQL"}]
            """#
        ) { call in
            let project = call.path[Fields.project]
            let sections = ExportSections(
                events: call.query[Listing.includeEvents], embeddings: call.query[Listing.includeEmbeddings],
                agents: call.query[Listing.includeAgents])
            let asOf = call.query[Fields.asOf]
            if sections.events || sections.embeddings || sections.agents {
                if asOf != nil {
                    throw ContexError.invalid(field: "as_of", kind: "value_error", message: "Value error, an export is of now: as_of goes with no include flag")
                        .inQuery
                }
                let name = call.query[Fields.format]
                guard let format = AnswerFormat(rawValue: name) else { throw ContexError.badRequest("Unsupported format: \(name.excerpt())") }
                if format == .json {
                    let pieces = ExportPieces(try await call.operations.exportReader(project: project, sections: sections, by: call.caller))
                    return try await .stream(contentType: format.contentType) { try await pieces.next() }
                }
                let document = try await call.operations.export(project: project, sections: sections, by: call.caller)
                return .bytes(try format.encode(document, jsonStyle: .pretty2), contentType: format.contentType)
            }
            guard call.query[Listing.includeContent] else {
                let keys = try await inQuery {
                    try await call.operations.listKeysOfData(project: project, call.page, asOf: asOf, by: call.caller)
                }
                return call.object(DataShape.keys(keys.items, of: project), next: keys.next)
            }
            let page = try await inQuery {
                try await call.operations.listData(project: project, call.page, asOf: asOf, by: call.caller) { node in
                    let item = try DataShape.listed(node)
                    return (item, item.count)
                }
            }
            return call.list(page, named: "data")
        },

        Route(
            "GET", "/projects/{project_id}/data/{data_key}", bases: .current, action: .showData, group: group, "What a key holds or held",
            path: [Fields.project.shape, Fields.key.shape], query: [Fields.asOf.shape],
            #"""
            {"project_id":"app","data_key":"tech","sequence":"1","timestamp":"2026-01-01T00:00:00+00:00","data":{"db":"PostgreSQL"},
            "data_format":"json","nodes":[{"data_key":"tech.root","description":"root | db: PostgreSQL","data":{"db":"PostgreSQL"},
            "data_format":"json","is_structured":true,"toon":"db: PostgreSQL"}]}
            """#
        ) { call in
            let (project, key) = (call.path[Fields.project], call.path[Fields.key])
            let held = try await inQuery { try await call.operations.data(project: project, key: key, asOf: call.query[Fields.asOf], by: call.caller) }
            return .bytes(try DataShape.held(held, project: project), contentType: "application/json")
        },

        Route(
            "DELETE", "/projects/{project_id}/data/{data_key}", bases: .current, action: .deleteData, group: group,
            "Delete a key: an event like any other, and its nodes are found no more; history=erase takes away all that it ever held (for administrators)",
            path: [Fields.project.shape, Fields.key.shape], query: [Deleting.history.shape],
            #"{"status":"deleted","project_id":"app","data_key":"tech","sequence":"2"}"#
        ) { call in
            if call.query[Deleting.history] == Deleting.erase {
                let receipt = try await call.operations.erase(call.path[Fields.key], project: call.path[Fields.project], by: call.caller)
                return .json(RetentionShape.receipt(receipt))
            }
            let receipt = try await call.operations.delete(call.path[Fields.key], project: call.path[Fields.project], by: call.caller)
            return .json([
                "status": "deleted", "project_id": .string(receipt.project.text), "data_key": .string(receipt.key.text),
                "sequence": .string(receipt.sequence.description),
            ])
        },

        Route(
            "POST", "/projects/{project_id}/import", action: .importData, group: group, "Take over an export document",
            path: [Fields.project.shape], query: [Import.format.shape, Import.validateOnly.shape, Import.overwrite.shape],
            body: .document(summary: "An export document, whatever its content type says"),
            #"""
            {"status":"success","stats":{"project_id":"app","events_imported":1,"embeddings_imported":0,"agents_imported":0},
            "validation":{"valid":true,"errors":[],"warnings":[],"project_id":"app"}}
            """#
        ) { call in
            let project = call.path[Fields.project]
            let document = try importedDocument(call.bodyContent.document, format: call.query[Import.format])
            let validateOnly = call.query[Import.validateOnly]
            let receipt = try await call.operations.importDocument(
                document, project: project, overwrite: call.query[Import.overwrite], validateOnly: validateOnly, by: call.caller)
            let validation: JSONValue = [
                "valid": .bool(true), "errors": .array([]), "warnings": .array(receipt.warnings.map(JSONValue.string)),
                "project_id": .string(project.text),
            ]
            if validateOnly { return .json(["status": "success", "validation": validation, "message": "Data validation passed"]) }
            return .json([
                "status": "success",
                "stats": [
                    "project_id": .string(project.text), "events_imported": .integer(receipt.events),
                    "embeddings_imported": .integer(receipt.embeddings), "agents_imported": .integer(receipt.agents),
                ], "validation": validation,
            ])
        },
    ]

    private static func importedDocument(_ bytes: [UInt8], format: String) throws -> JSONValue {
        let document: JSONValue
        switch format {
        case "json":
            do throws(JSONParseError) {
                document = try JSONParser.parse(bytes, maximumDepth: Limits.nestingDepth + Limits.envelopeLevels)
            } catch {
                throw ContexError(.importRefused, "Invalid JSON: \(error)")
            }
        case "toon":
            do throws(TOONError) {
                document = try TOONDecoder.decode(utf8: bytes, options: .init(depthMax: Limits.nestingDepth + Limits.envelopeLevels))
            } catch {
                throw ContexError(.importRefused, "Invalid TOON: \(error)")
            }
        default: throw ContexError.badRequest("Unsupported format: \(format.excerpt())")
        }
        guard document.objectValue != nil else { throw ContexError(.importRefused, "An export document must be an object") }
        return document
    }

    /// An export on its way out, for one reader.
    private actor ExportPieces {
        private var reader: ExportReader
        init(_ reader: ExportReader) { self.reader = reader }

        func next() async throws -> [UInt8]? {
            var reader = reader
            let piece = try await reader.next()
            self.reader = reader
            return piece
        }
    }

    /// The frame of a batch answer. An item that failed says why in words (`error`), and as a code (`code`, as `X-Contex-Error`).
    static func batch<Command: Sendable, Receipt: Sendable>(
        _ commands: [Command], run: ([Command]) async throws -> [Result<Receipt, ContexError>], success: (Command, Receipt) throws -> JSONValue,
        failure: (Command) -> JSONObject
    ) async throws -> APIAnswer {
        let started = ContinuousClock.now
        let outcomes = try await run(commands)
        let duration = ContinuousClock.now - started
        var successful = 0
        let results: [JSONValue] = try zip(commands, outcomes).map { command, outcome in
            switch outcome {
            case .success(let receipt):
                successful += 1
                return try success(command, receipt)
            case .failure(let error):
                var members = failure(command)
                members["error"] = .string(error.batchMessage)
                members["code"] = .string(error.code.rawValue)
                return .object(members)
            }
        }
        return .json([
            "status": "completed", "total": .integer(commands.count), "successful": .integer(successful),
            "failed": .integer(commands.count - successful), "duration_ms": .double((duration / .microseconds(1)).rounded() / 1_000),
            "results": .array(results),
        ])
    }
}
