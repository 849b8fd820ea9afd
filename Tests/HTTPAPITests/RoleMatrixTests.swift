import Access
import Base
import Content
import Engine
import HTTPAPI
import Service
import TestSupport
import Testing

/// Every route, as every role, in the key's own project and in a foreign one, generated from the route table: a route that is added
/// is tested the moment it is there, and one whose action has no rule does not compile.
@Suite("The role matrix")
struct RoleMatrixTests {
    private static let own = "own project"
    private static let foreign = "foreign project"

    @Test func everyRouteAsEveryRole() async throws {
        let harness = try Harness(authentication: true)
        let root = try #require(try await harness.database.bootstrapKey(.standard, name: "root", given: nil)).text
        var keys: [(role: Role, isAssigned: Bool, scoped: Bool, text: String)] = []
        for role in Role.allCases {
            for scoped in [true, false] {
                let created = try await harness.send("POST", "/api/v1/auth/keys?name=\(role.rawValue)", key: root).json
                let (id, text) = try (#require(created["key_id"]?.stringValue), #require(created["key"]?.stringValue))
                let projects = scoped ? #"["\#(Self.own)"]"# : "[]"
                #expect(await harness.send("POST", "/api/v1/auth/roles?key_id=\(id)&role=\(role.rawValue)", projects, key: root).status == 200)
                keys.append((role, true, scoped, text))
            }
        }
        let unassigned = try await harness.send("POST", "/api/v1/auth/keys?name=nobody", key: root).json
        keys.append((.readonly, false, false, try #require(unassigned["key"]?.stringValue)))

        var checked = 0
        for route in RouteTable.all {
            for prefix in route.bases.prefixes {
                for project in [Self.own, Self.foreign] {
                    let (target, body) = try Self.request(route, prefix: prefix, project: project)
                    let without = await harness.send(route.method, target, body)
                    // What is asked about here is a credential itself, and the sample is none.
                    let judges = route.action == .issueToken || route.action == .validateToken
                    #expect((without.status == 401) == !route.isPublic || judges, "\(route.method) \(target) without a key")
                    for key in keys {
                        let answer = await harness.send(route.method, target, body, key: key.text)
                        let place = "\(route.method) \(target) as \(key.role), scoped: \(key.scoped): \(answer.status) \(answer.text)"
                        let granted = route.action.permission.map(key.role.grants) ?? true
                        let inScope = !key.scoped || project == Self.own || route.projectPlace == .none
                        if judges {
                            let codes = route.action == .issueToken ? ["key_unknown", "logins_limited"] : ["token_invalid"]
                            #expect(codes.contains(answer.header("X-Contex-Error") ?? ""), "\(place)")
                            checked += 1
                            continue
                        }
                        if granted, key.scoped, route.action.concernsAllProjects {
                            #expect(answer.status == 403 && answer.header("X-Contex-Error") == "reach_exceeded", "\(place)")
                            checked += 1
                            continue
                        }
                        if route.isPublic || (granted && inScope) {
                            #expect(![401, 403, 405, 500].contains(answer.status), "\(place)")
                            // A batch names a project in each item: the items of a foreign one fail by themselves.
                            if isBatch(route) {
                                let inItem = !key.scoped || project == Self.own
                                #expect(try answer.json["successful"]?.integerValue == (inItem ? 1 : 0), "\(place)")
                            }
                        } else {
                            #expect(answer.status == 403, "\(place)")
                            if route.path == "/embeddings" {
                                // Its clients read errors in OpenAI's shape.
                                #expect(try answer.json["error"]?["code"] == "insufficient_permissions", "\(place)")
                                checked += 1
                                continue
                            }
                            #expect(
                                try answer.json == [
                                    "error": "forbidden",
                                    "message": .string("Your role '\(key.role.rawValue)' does not have permission to perform this action"),
                                    "required_permission": .string(route.action.permission?.rawValue ?? ""),
                                    "your_role": .string(key.role.rawValue),
                                ], "\(place)")
                        }
                        checked += 1
                    }
                }
            }
        }
        // Nothing of a foreign project was ever written by a key that is held to its own.
        #expect(checked == RouteTable.all.map { $0.bases.prefixes.count }.reduce(0, +) * 2 * keys.count)
        await harness.close()
    }

    private func isBatch(_ route: Route) -> Bool {
        switch route.body {
        case .objects, .separateObjects: true
        default: false
        }
    }

    /// Every operation of the service has a route, but for those that the socket of subscribers serves, and those that are a route told more.
    @Test func everyActionHasARoute() {
        let routed = Set(RouteTable.all.map(\.action))
        #expect(Set(Action.allCases).subtracting(routed).subtracting([.subscribe, .exportData, .eraseData]) == [])
    }

    /// A request that is well formed: a sample for every field that must be there.
    /// - Parameter values: of fields of the path, by name.
    static func request(
        _ route: Route, prefix: String, project: String, values: [String: String] = [:]
    ) throws -> (target: String, body: String?) {
        var path = route.path
        for field in route.pathFields {
            path = path.replacing("{\(field.name)}", with: encoded(field.name == "project_id" ? project : values[field.name] ?? "7"))
        }
        var query: [String] = []
        for field in route.queryFields where field.isRequired || ["key_id", "role"].contains(field.name) {
            query.append("\(field.name)=\(field.name == "role" ? "readonly" : "1")")
        }
        let object = JSONValue.object(JSONObject(route.body.fields.filter(isNeeded).map { ($0.name, sample($0, project: project)) }))
        let body: String? =
            switch route.body {
            case .none: nil
            case .object, .form: JSONPrinter.text(object)
            case .objects, .separateObjects: JSONPrinter.text(.array([object]))
            case .optionalJSON: "[]"
            case .document: "{}"
            }
        return (prefix + path + (query.isEmpty ? "" : "?" + query.joined(separator: "&")), body)
    }

    private static func isNeeded(_ field: FieldShape) -> Bool {
        if case .optional = field.presence { false } else { true }
    }

    private static func sample(_ field: FieldShape, project: String) -> JSONValue {
        if field.name == "project_id" { return .string(project) }
        return switch field.rule {
        case .text, .name: "sample"
        case .metadata: ["team": "core"]
        case .filter: ["metadata.team": "core"]
        case .integer(let min, _): .integer(min ?? 1)
        case .number(let min, _): .double(min)
        case .shares(let names): .object(JSONObject([(names[0], .integer(1))]))
        case .flag: .bool(false)
        case .texts, .embeddingInputs: .array(["sample"])
        case .word(let words, _): .string(words[0])
        case .address: "http://sample.example/"
        case .vector: .array([.double(1)])
        case .moment: "0"
        case .anything: ["sample": .integer(1)]
        }
    }

    private static func encoded(_ text: String) -> String { text.replacing(" ", with: "%20") }
}
