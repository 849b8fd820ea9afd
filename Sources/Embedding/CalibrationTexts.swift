/// Texts by which the inputs of the products are measured before weights become bytes (`InputStatistics`): of the kinds that are published, a
/// few of each, 4,500 tokens. A change here changes the vectors in int8 of every model (by about 0.0001 in cosine), and nothing else.
enum CalibrationTexts {
    static let all = prose + questions + abstracts + data + functions + code + notes + operations

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
    private static let abstracts = [
        "Background: Hypertension is the leading cause of death worldwide, yet fewer than half of those affected know of it. Methods: We followed 4,812 "
            + "adults in rural districts for six years. Results: Salt intake above ten grams a day was associated with a relative risk of 1.37 "
            + "(95% confidence interval 1.21 to 1.55). Conclusion: Reducing salt in bread would prevent some deaths at hardly any cost.",
        "Stem cells in the intestinal crypt divide daily and replace the epithelium within a week. Here we show that loss of the tumour suppressor APC "
            + "in a single stem cell leads to clonal expansion, and that Wnt signalling in neighbouring cells limits it. Mice treated with an inhibitor "
            + "of the pathway developed fewer adenomas and lived longer than untreated littermates.",
        "An algorithm is given which finds the shortest path between two nodes of a graph whose edges have nonnegative lengths. The procedure is written "
            + "in ALGOL 60 and needs storage proportional to the number of nodes. It was tested on a CDC 6600 with networks of up to one thousand nodes.",
        "The paper describes an interactive system for editing programs on a display terminal. Commands are few and alike, files are kept on disk, and a user "
            + "may return to an earlier version at any time. Experience of two years with forty users is reported, and some mistakes are admitted.",
        "Transfer RNA genes are found in clusters throughout the genome of yeast, often beside retrotransposons. We sequenced 27 strains and found that "
            + "their number varies little, while their order varies a lot, which suggests frequent recombination between homologous regions.",
        "Randomised trials of statins in people without cardiovascular disease have given conflicting results. In this meta-analysis of eleven trials with "
            + "65,229 participants, all-cause mortality was not reduced significantly over an average of 3.7 years.",
        "Paging algorithms are compared by simulation on address traces of several programs. The working set policy used less memory than least recently used "
            + "at equal fault rates; a page size of 512 words was best for small programs, while larger pages suited matrix computations.",
        "Neutrophils release traps made of DNA and granular proteins to catch bacteria. In patients with sepsis these traps damaged the endothelium of small "
            + "vessels in the lung, and treatment with DNase restored the flow of blood in an animal model of the disease.",
        "We prove that every planar graph with n vertices has a separator of at most a constant times the square root of n vertices, and give applications to "
            + "divide and conquer algorithms, to the layout of circuits, and to lower bounds on the size of Boolean formulas.",
        "Obesity in childhood predicts obesity in adult life. School programmes that combined more hours of sport with healthier meals lowered the body mass "
            + "index by 0.3 on average; the effect was gone two years after the programme had ended.",
        "HIV-1 infects CD4 positive T cells and macrophages. Broadly neutralising antibodies against the envelope glycoprotein were isolated from two donors, "
            + "and their crystal structures show why escape mutations are rare at this site.",
        "A method for hashing variable-length strings is presented, with an analysis of collisions for tables that are up to ninety percent full. Linear "
            + "probing needs more comparisons than chaining but profits from storage with large blocks.",
    ]
    private static let functions = [
        "get_stock_price. Retrieve the current price of a stock by its ticker symbol. symbol: string, the ticker symbol, for example AAPL or MSFT. "
            + "currency: string, optional, the currency of the price, default USD. exchange: one of NYSE, NASDAQ, LSE.",
        "book_flight: Book a flight from one airport to another on a given date for a number of passengers. from (string, IATA code), to (string, IATA code), "
            + "departure_date (string, YYYY-MM-DD), passengers (integer), seat_class (economy, business or first), nonstop (boolean, default false)",
        "{\"name\": \"play_song\", \"description\": \"Plays a song by the given artist on a music streaming service.\", \"parameters\": {\"type\": \"dict\", "
            + "\"properties\": {\"artist\": {\"type\": \"string\", \"description\": \"The artist.\"}, \"title\": {\"type\": \"string\"}, \"volume\": "
            + "{\"type\": \"integer\", \"description\": \"0 to 100\", \"default\": 50}}, \"required\": [\"artist\", \"title\"]}}",
        "solve_quadratic_equation: finds the real or complex roots of ax^2 + bx + c = 0. Parameters a, b, c: float, the coefficients; root_type: string, "
            + "'real' or 'all', default 'real'.",
        "def to_camel_case(name):\n    \"\"\"Converts snake_case to camelCase.\n\n    :param name: string in snake case\n    :return: string in camel case\n"
            + "    \"\"\"\n    head, *tail = name.split('_')\n    return head + ''.join(word.capitalize() for word in tail)",
        "def list_files(folder, extension='.txt', recursive=True):\n    \"\"\"\n    List all files in a directory with the given extension.\n    \"\"\"\n"
            + "    result = []\n"
            + "    for root, dirs, files in os.walk(folder):\n        result.extend(os.path.join(root, f) for f in files if f.endswith(extension))\n"
            + "        if not recursive:\n            break\n    return sorted(result)",
        "def md5_of_file(filename, block_size=65536):\n    digest = hashlib.md5()\n    with open(filename, 'rb') as handle:\n"
            + "        for block in iter(lambda: handle.read(block_size), b''):\n            digest.update(block)\n    return digest.hexdigest()",
        "@property\ndef is_valid(self):\n    \"\"\"True if the token has not expired and its signature is correct.\"\"\"\n"
            + "    return self.expires > time.time() and hmac.compare_digest(self.signature, self._sign(self.payload))",
        "def plot_histogram(ax, values, bins=20, color='steelblue', label=None):\n    counts, edges = np.histogram(values[~np.isnan(values)], bins=bins)\n"
            + "    ax.bar(edges[:-1], counts, width=np.diff(edges), color=color, label=label)\n    ax.set_ylabel('count')\n    return counts",
        "    @classmethod\n    def from_string(cls, text):\n        match = cls._pattern.match(text.strip())\n        if match is None:\n"
            + "            raise ValueError('not a version: %r' % text)\n        return cls(*(int(part) for part in match.groups()))",
        "func retry<T>(_ attempts: Int, delay: Duration, _ work: () async throws -> T) async throws -> T {\n    for attempt in 1..<attempts {\n"
            + "        do { return try await work() } catch { try await Task.sleep(for: delay * attempt) }\n    }\n    return try await work()\n}",
    ]
    private static let notes = [
        "Meeting of 12 May. Present: Ines, Jonas, Priya. The release moves to the second week of June because the audit found two issues in the login. Priya "
            + "writes the migration guide, Jonas talks to the two customers who still use the old API, and Ines asks for a quote for more storage.",
        "Our refund policy: orders that were cancelled within 24 hours are refunded in full. After that we keep a fee of 15 percent. Gift cards and "
            + "downloads are not refunded. The money arrives within five to ten working days on the card that was charged.",
        "Known limits: a request may have at most 1,000 items and 10 megabytes; an account may send 600 requests a minute. Over these the server "
            + "answers 413 or 429. Clients should wait as long as the header says and then try again, with some randomness so that not all come back at once.",
        "To replace the filter, switch the machine off and let it cool for thirty minutes. Open the cover on the left side, pull the old cartridge out, "
            + "rinse the seat with cold water, and push the new one in until it clicks. Reset the counter in the service menu.",
        "The tenant's account is locked after ten wrong passwords. An administrator can unlock it under Users, or the user waits for an hour. Single sign-on "
            + "users are never locked here; their identity provider decides.",
        "Dear Ms. Okafor, thank you for your order of 3 March. Unfortunately the blue chairs are out of stock until April. Would you like to wait, take the "
            + "grey ones instead, or cancel that part of the order? With kind regards, Tom Becker, customer service.",
        "Architecture: a gateway terminates TLS and checks tokens; behind it stateless services talk to PostgreSQL for accounts, to Kafka for events and to "
            + "object storage for files. Every service exports metrics to Prometheus and traces to Jaeger. Two regions, one of them standing by.",
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
