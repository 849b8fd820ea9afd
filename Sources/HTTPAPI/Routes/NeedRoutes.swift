internal import Answers
internal import Base
internal import Engine
internal import Needs
internal import Search
internal import Service

/// Why: whom a document would reach, and what needs would have matched.
extension RouteTable {
    private static let group = "Agents"

    private enum Document {
        static let key = Field.optionalName("data_key", "The key that it would be published under; document when not given")
        static let data = Field.anything("data", "Any JSON, as it would be published")
        static let format = Field.optionalText("data_format", scalarsMax: Limits.nameScalars, "As for a publish")
        static let vector = Field.optionalVector("vector", "As for a publish")
        static let metadata = Field.metadata("metadata", "As for a publish: filters of agents are asked of it")
        static let shapes = [key.shape, data.shape, format.shape, vector.shape, metadata.shape]
        static let usual = Name(stored: "document")
    }

    private enum Trial {
        static let needs = Field.texts("needs", countMax: NeedTrial.needsMax, scalarsMax: Limits.queryScalars, "As an agent would register them")
        static let events = Field.integer(
            "events", min: 1, max: Limits.pageItems, default: 200,
            "How many of the last events are looked at: the documents that they published, as they are now")
        static let minSimilarity = Field.optionalNumber(
            "min_similarity", min: 0, max: 1, "From which similarity on a node counts as matched; the server's threshold when not given")
        static let mode = Field.optionalWord("mode", of: SearchMode.allCases.map(\.rawValue), "How the needs are scored; the server's mode when not given")
        static let filter = Field.filterText("filter", "Only documents that pass are looked at")
        static let shapes = [needs.shape, events.shape, minSimilarity.shape, mode.shape, filter.shape]
    }

    static let needRoutes: [Route] = [
        Route(
            "POST", "/projects/{project_id}/match", bases: .current, action: .rehearse, group: group,
            "Which agents a document would reach, and by which need; nothing is stored and nobody is told", path: [Fields.project.shape],
            body: .object(Document.shapes),
            #"""
            {"project_id":"app","data_key":"document","changed":true,"nodes":1,"agents":[{"agent_id":"coder","follows":false,"matches":[
            {"need":"the database in use","node_key":"document.root","similarity":0.71,"min_similarity":0.5,"mode":"hybrid",
            "explanation":{"cosine":0.42,"bm25":1.2,"ceiling":2.1,"cut":3.1}}]}]}
            """#
        ) { call in
            let body = call.body
            let command = PublishCommand(
                project: call.path[Fields.project], key: body[Document.key] ?? Document.usual, data: body[Document.data], format: body[Document.format],
                vector: body[Document.vector], metadata: body[Document.metadata])
            return .json(.object(NeedShape.rehearsal(try await call.operations.rehearse(command, by: call.caller))))
        },

        Route(
            "POST", "/projects/{project_id}/needs/test", bases: .current, action: .tryNeeds, group: group,
            "What needs would have matched among the last events, how their scores lie, and which min_similarity would part them",
            path: [Fields.project.shape], body: .object(Trial.shapes),
            #"""
            {"project_id":"app","documents":40,"nodes":60,"mode":"hybrid","min_similarity":0.5,"needs":[{"need":"the database in use","matched":2,
            "matched_documents":2,"histogram":[50,6,2,0,0,0,0,0,0,0,0,0,0,1,1,0,0,0,0,0],"suggested_min_similarity":0.39,"best":[
            {"node_key":"tech.root","similarity":0.71,"explanation":{"cosine":0.42,"bm25":1.2,"ceiling":2.1,"cut":3.1}}]}]}
            """#
        ) { call in
            let body = call.body
            let request = NeedTrialRequest(
                project: call.path[Fields.project], needs: body[Trial.needs], events: body[Trial.events],
                settings: NeedSettings(
                    minSimilarity: body[Trial.minSimilarity], mode: body[Trial.mode].flatMap { SearchMode(rawValue: $0) }.map { $0.ofNeeds },
                    filter: body[Trial.filter]))
            return .json(.object(NeedShape.trial(try await call.operations.tryNeeds(request, by: call.caller))))
        },
    ]
}
