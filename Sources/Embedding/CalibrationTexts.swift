/// Texts by which the inputs of the products are measured before weights become bytes (`InputStatistics`): of the kinds that are published, a
/// few of each, 2,500 tokens. A change here changes the vectors in int8 of every model (by about 0.0001 in cosine), and nothing else.
enum CalibrationTexts {
    static let all = prose + questions + data + code + operations

    private static let prose = [
        "The quarterly report shows that revenue grew by eleven percent, mostly because two large customers renewed their contracts early.",
        "Mitochondria produce most of the chemical energy that a cell needs; when they fail, muscles and nerves suffer first.",
        "We found no significant difference between the treatment group and the control group after twelve weeks (p = 0.41).",
        "The old bridge over the river was closed in March, and ferries have carried commuters from the northern bank ever since.",
        "A transformer processes all tokens of a sequence at once, while a recurrent network has to read them one after another.",
        "Please remember to water the plants in the kitchen twice a week and to leave the spare key with our neighbour upstairs.",
        "Inflammation of the arterial wall is associated with an increased risk of stroke in patients with chronic kidney disease.",
        "She had never liked the sea, but on that grey morning she walked down to the harbour and bought a ticket to the islands.",
        "The committee rejected the proposal by seven votes to four and asked the board for a revised budget before the end of May.",
        "An index speeds up reading at the price of slower writes, since every insert has to update it as well as the table itself.",
        "Heavy rain is expected in the west during the night, turning to snow above eight hundred metres; roads may be icy by morning.",
        "The algorithm sorts the edges by weight and adds each one to the forest unless it would close a cycle.",
        "Customers may return any item within thirty days of delivery, provided that it is unused and in its original packaging.",
        "Gene expression was measured by quantitative PCR in liver samples of mice that lacked the receptor.",
        "Our support team is available from nine to five on working days; urgent incidents are handled around the clock by the engineer on call.",
        "The museum's collection ranges from Bronze Age pottery to photographs of the city's first trams and factories.",
        "In 1969 the spacecraft landed on the Moon, and some six hundred million people watched the first steps on television.",
        "The compiler removes code that can never be reached, which is why the branch did not appear in the profile.",
        "Vitamin D deficiency is common among older adults who spend little time outdoors, particularly during the winter months.",
        "The landlord shall keep the heating in good repair; the tenant bears the cost of small repairs up to one hundred euros a year.",
        "He scored twice in the second half, but the visitors equalised in the last minute and won on penalties.",
        "Distributed consensus lets a group of machines agree on one order of commands even though some of them may crash.",
        "Add the flour and the melted butter, knead the dough for ten minutes, and let it rest in a warm place for an hour.",
        "The price of crude oil fell below seventy dollars a barrel for the first time since the autumn.",
        "Monoclonal antibodies bind to the spike protein and keep the virus from entering the host cell.",
        "All employees have to change their passwords every year and must not use them for any other service.",
        "The glacier has lost a third of its volume since measurements began, and the lake below it threatens the valley.",
        "A lens with a wide aperture lets in more light and gives a shallow depth of field, so the background looks soft.",
    ]
    private static let questions = [
        "how do I reset my password", "What is the capital of Australia?", "python sort a dictionary by value",
        "Does aspirin lower the risk of colon cancer?", "why is my query slow after adding an index", "best way to cook rice without a rice cooker",
        "Which team is responsible for the billing service, and whom do I call at night?", "convert a string to a datetime object",
        "Find articles on the compression of inverted files and on storage for text retrieval systems.", "check if a list is empty",
        "What is the boiling point of water at an altitude of three thousand metres?", "how to remove duplicates from an array in JavaScript",
        "Can you book a table for four people at an Italian restaurant near the station for Friday at half past seven?",
        "current weather in Berlin", "I need the area of a triangle with a base of 10 units and a height of 5 units.",
        "errors in the deployment of last Tuesday", "customer preferences and contact data", "notify me when a contract is about to expire",
        "I am interested in time sharing operating systems, their schedulers, and how memory is protected between users.",
        "Elevated cholesterol is not a cause of heart disease.", "list of open invoices above 1000 dollars", "database connection settings",
    ]
    private static let data = [
        "{\"id\": 1042, \"customer\": \"Miller & Sons\", \"status\": \"open\", \"total\": 1899.95, \"currency\": \"EUR\", \"items\": [\"desk\", \"lamp\"]}",
        "name: Anna Schmidt, email: anna.schmidt@example.org, role: administrator, last login: 2026-03-29T08:15:00Z, active: true",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: checkout\n  labels:\n    team: payments\nspec:\n  replicas: 3",
        "date,region,product,units,revenue\n2026-01-05,north,bicycle,12,8388.00\n2026-01-06,south,helmet,40,1996.50",
        "{\"name\": \"calculate_area\", \"description\": \"Calculate the area of a triangle given its base and height.\", \"parameters\": {\"type\": \"dict\", "
            + "\"properties\": {\"base\": {\"type\": \"float\", \"description\": \"The base of the triangle in metres.\"}, \"height\": {\"type\": \"float\"}}, "
            + "\"required\": [\"base\", \"height\"]}}",
        "settings > network > proxy: host 10.0.4.17, port 3128, user backup, timeout 30 seconds, retries 5",
        "| Endpoint | Method | Description |\n|---|---|---|\n| /users/{id} | GET | returns one user |\n| /users | POST | creates a user |",
        "temperature: 21.5, humidity: 0.43, pressure: 1013.2, sensor: attic-2, battery: 87%, firmware: v2.4.1-rc3",
        "<order number=\"88213\"><customer>Garcia</customer><address city=\"Lisbon\" zip=\"1100-148\"/><paid>false</paid></order>",
        "title: Evaluation of multiprocessor scheduling; authors: Lee, P. and Novak, J.; journal: Communications of the ACM, vol. 21, no. 5, 1978",
        "sku B-2041, steel shelf, 180 x 90 x 40 cm, 5 boards, load per board 175 kg, price 64.90, in stock 212, warehouse Rotterdam",
        "patient: 57 years, male; diagnosis: type 2 diabetes, hypertension; medication: metformin 500 mg twice a day, ramipril 5 mg",
    ]
    private static let code = [
        "def read_config(path, default=None):\n    \"\"\"Reads a YAML file and returns its content as a dict.\"\"\"\n    if not os.path.exists(path):\n"
            + "        return default\n    with open(path) as f:\n        return yaml.safe_load(f)",
        "def unique(items):\n    \"\"\"Remove duplicates from a list, preserving order.\"\"\"\n    seen = set()\n"
            + "    return [x for x in items if not (x in seen or seen.add(x))]",
        "for (int i = 0; i < n; ++i) {\n    sum += values[i] * weights[i];\n}\nreturn sum / total;",
        "SELECT c.name, SUM(o.total) FROM customers c JOIN orders o ON o.customer_id = c.id WHERE o.created_at >= '2026-01-01' GROUP BY c.name;",
        "public func insert(_ key: String, _ value: Int) throws -> Bool {\n    guard !isClosed else { throw StoreError.closed }\n"
            + "    entries[key] = value\n    return entries.count <= limit\n}",
        "class Matrix(object):\n    def __init__(self, rows, cols):\n        self.data = [[0.0] * cols for _ in range(rows)]\n\n    def transpose(self):\n"
            + "        return zip(*self.data)",
        "async function fetchUser(id) {\n  const response = await fetch(`/api/users/${id}`);\n  if (!response.ok) throw new Error(response.statusText);\n"
            + "  return response.json();\n}",
        "def _parse_date(value):\n    # accepts ISO 8601 only\n    try:\n"
            + "        return datetime.strptime(value, \"%Y-%m-%d\").date()\n    except ValueError:\n        return None",
        "import numpy as np\n\ndef softmax(x, axis=-1):\n"
            + "    e = np.exp(x - np.max(x, axis=axis, keepdims=True))\n    return e / e.sum(axis=axis, keepdims=True)",
        "docker run -d --name web -p 8080:80 -v $(pwd)/site:/usr/share/nginx/html:ro nginx:1.27",
        "git push --force-with-lease origin feature/login && tar -xzf backup.tar.gz -C /var/lib/app",
    ]
    private static let operations = [
        "2026-03-29 04:12:55,031 ERROR [worker-7] com.example.billing.InvoiceJob - timeout after 30000 ms while calling payment gateway, will retry (2/5)",
        "panic: runtime error: index out of range [5] with length 5\n\ngoroutine 1 [running]:\nmain.main()\n\t/srv/app/main.go:42 +0x1d",
        "ssh: connect to host db-2.internal port 22: Connection refused", "npm ERR! code ERESOLVE could not resolve dependency tree",
        "# Deployment\n\nRun the migrations first, then restart the workers one by one. If a health check fails, roll back with `make rollback`.",
        "- [x] update the certificates\n- [ ] rotate the API keys\n- [ ] write the post-mortem of incident 4711",
        "The nightly backup failed: no space left on device /dev/sda1 (98% used). Free at least 20 GB or move the archive.",
        "HTTP/1.1 503 Service Unavailable; Retry-After: 120; x-request-id: 7f3a9c1e-42b0",
        "Wir haben die Rechnung im Februar bezahlt und warten seitdem auf die Lieferung.", "El servidor no responde desde las tres de la tarde.",
        "La r\u{E9}union est report\u{E9}e \u{E0} jeudi, salle 204.", "AKIA, SKU-99812, 0x7ffde4, v1.0.0-beta.2, lorem ipsum, n/a, TBD, ok, 404",
        "Yes.", "error", "Berlin", "42", "hello world", "user settings", "true", "",
    ]
}
