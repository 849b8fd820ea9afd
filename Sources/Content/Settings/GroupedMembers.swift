internal import Base

/// Members of an object where a name may come several times: then its values become an array, at the place of the first.
struct GroupedMembers {
    private var names: [String] = []
    private var places: [ExactText: Int] = [:]
    private var values: [[JSONValue]] = []

    /// - Complexity: O(length of the name).
    mutating func add(_ name: String, _ value: JSONValue) {
        if let place = places[ExactText(name)] {
            values[place].append(value)
        } else {
            places[ExactText(name)] = names.count
            names.append(name)
            values.append([value])
        }
    }

    /// The same with the last value only.
    mutating func set(_ name: String, _ value: JSONValue) {
        if let place = places[ExactText(name)] { values[place] = [value] } else { add(name, value) }
    }

    var isEmpty: Bool { names.isEmpty }
    var object: JSONObject { JSONObject(zip(names, values).map { ($0, $1.count == 1 ? $1[0] : .array($1)) }) }
}
