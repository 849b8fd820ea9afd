internal import Answers
internal import Base
internal import Content
internal import Engine
internal import Service

/// What agents say of what they were told, by which their needs learn.
extension RouteTable {
    private static let group = "Agents"
    private static let projectMeant = Field.optionalName("project_id", "The project whose agent is meant")

    private enum Feedbacks {
        static let sequence = Field.requiredInteger("sequence", min: 1, max: nil, "The sequence of the delivery, as its entry of the inbox has it")
        static let useful = Field.requiredFlag("useful", "Whether it was what the need asks for")
        static let need = Field.optionalText(
            "need", scalarsMax: Limits.queryScalars, "Which of the needs that it matched is meant, in its words; when not given each of them")
        static let shapes = [sequence.shape, useful.shape, need.shape]
        static let forgotten = Field.optionalInteger("sequence", min: 1, max: nil, "Only what was said of this delivery")
        static let ofNeed = Field.optionalText("need", scalarsMax: Limits.queryScalars, "Only what was said of this need, in its words")
        static let forgottenShapes = [forgotten.shape, ofNeed.shape]
        static let example = #"""
            {"status":"noted","project_id":"app","agent_id":"coder","changed":1,"needs":[{"need":"the database in use","judged":3,"useful":1,
            "shift":0.375,"usual_min_similarity":0.5,"min_similarity":0.5926665999540697}]}
            """#
        static let forgottenExample = #"""
            {"status":"forgotten","project_id":"app","agent_id":"coder","changed":3,"needs":[{"need":"the database in use","judged":0,"useful":0,
            "shift":0,"usual_min_similarity":null,"min_similarity":null}]}
            """#
    }

    static let feedbackRoutes: [Route] = [
        Route(
            "POST", "/agents/{agent_id}/feedback", action: .judgeDelivery, group: group,
            "Say that a delivery was useful, or that it was not: the cut of the need that it matched moves", path: [Fields.agent.shape],
            query: [projectMeant.shape], body: .object(Feedbacks.shapes), Feedbacks.example
        ) { call in try await judge(call, project: call.query[projectMeant]) },

        Route(
            "POST", "/projects/{project_id}/agents/{agent_id}/feedback", bases: .current, action: .judgeDelivery, group: group,
            "The same of an agent of a project", path: [Fields.project.shape, Fields.agent.shape], body: .object(Feedbacks.shapes), Feedbacks.example
        ) { call in try await judge(call, project: call.path[Fields.project]) },

        Route(
            "DELETE", "/agents/{agent_id}/feedback", action: .judgeDelivery, group: group,
            "Take back what was said of deliveries: of all, or of one delivery or need", path: [Fields.agent.shape],
            query: [projectMeant.shape] + Feedbacks.forgottenShapes, Feedbacks.forgottenExample
        ) { call in try await forget(call, project: call.query[projectMeant]) },

        Route(
            "DELETE", "/projects/{project_id}/agents/{agent_id}/feedback", bases: .current, action: .judgeDelivery, group: group,
            "The same of an agent of a project", path: [Fields.project.shape, Fields.agent.shape], query: Feedbacks.forgottenShapes,
            Feedbacks.forgottenExample
        ) { call in try await forget(call, project: call.path[Fields.project]) },
    ]

    private static func judge(_ call: Call, project: Name?) async throws -> APIAnswer {
        let body = call.body
        let feedback = try await call.operations.judge(
            call.path[Fields.agent], project: project, sequence: Sequence(rawValue: UInt64(body[Feedbacks.sequence])), need: body[Feedbacks.need],
            isUseful: body[Feedbacks.useful], by: call.caller)
        return .json(.object(answered("noted", feedback)))
    }

    private static func forget(_ call: Call, project: Name?) async throws -> APIAnswer {
        let feedback = try await inQuery {
            try await call.operations.forgetJudgements(
                call.path[Fields.agent], project: project, sequence: call.query[Feedbacks.forgotten].map { Sequence(rawValue: UInt64($0)) },
                need: call.query[Feedbacks.ofNeed], by: call.caller)
        }
        return .json(.object(answered("forgotten", feedback)))
    }

    private static func answered(_ status: String, _ feedback: Feedback) -> JSONObject {
        var members = JSONObject([("status", .string(status))])
        for (name, value) in AgentShape.feedback(feedback) { members[name] = value }
        return members
    }
}
