/// Every bound that input from outside meets, in one place.
public enum Limits {
    /// Scalars in a project id, data key or agent id (the original's column width).
    public static let nameScalars = 255
    /// Levels of objects and arrays in what is published, imported or stored, measured on the value that a text was read as.
    public static let nestingDepth = 64
    /// Levels that requests and export documents may have around data.
    public static let envelopeLevels = 8
    /// Levels that stored JSON and an answer with it may have: ours around a value are two (`{"key": data}`, `{"value": item}`).
    public static let storedNestingDepth = nestingDepth + 2
    /// Bytes of a request body, unless configured otherwise.
    public static let bodyBytes = 10 << 20
    /// The largest request body that a server can be configured for, and so the largest file that a command reads.
    public static let bodyBytesMost = 1 << 30
    /// Needs of one agent; each costs one embedding and 1.6 kB in the store.
    public static let needsPerAgent = 1_000
    /// Scalars of one need or query text. The model reads 256 word pieces; the rest only counts for BM25.
    public static let queryScalars = 32_768
    /// Nodes that one document may be split into.
    public static let nodesPerDocument = 20_000
    /// Passages that the long nodes of one document may have beside one a node: each costs an embedding. What has more text has longer passages.
    public static let passagesPerDocument = 4_096
    /// Items of one batch request.
    public static let batchItems = 10_000
    /// Texts of one request for embeddings, as OpenAI has it.
    public static let embeddingTexts = 2_048
    /// Queries of one batch: each may search as long as one alone.
    public static let batchQueries = 100
    /// Keys that a request may pin, and that it may ask explanations for; each may be a document, whose nodes are then read.
    public static let namedKeys = 20
    /// Scalars of the key of a node: that of its document, a dot, its path.
    public static let nodeKeyScalars = 4_096
    /// cl100k tokens of a context: what the original allows.
    public static let contextTokens = 1_000...128_000
    /// Matches of one query: the original's `top_k`, and its client's `max_results`.
    public static let topK = 50
    public static let maxResults = 100
    /// Matches of one page of a query, and of all its pages together: so many candidates of each index are ranked for each page.
    public static let pageMatches = 1_000
    public static let pagedMatches = 10_000
    /// Matches of one document in an answer, when the request says how many, and when it groups by document and does not say.
    public static let nodesPerDocumentShown = 50
    public static let nodesPerGroup = 3
    /// Candidates that each index is asked for when passages of few nodes, or nodes of few documents, hold all places of an answer.
    public static let widenedCandidates = 8_192
    /// Numbers of a vector in a request: more than any model gives. How many it must be, the model says.
    public static let vectorNumbers = 8_192
    /// Candidates of a search among vectors; each brings up to 32 neighbours that are compared.
    public static let efSearch = 4_096
    /// Nodes that a project may have had for its past to be queried (`as_of`): they are split, embedded and scored anew for each
    /// answer. A choice, not yet a measurement.
    public static let pastNodes = 20_000
    /// Bytes of what is held of it for one such answer: events that are split anew, nodes, their metadata and vectors.
    public static let pastBytes = 64 << 20
    /// Nodes of a project whose analyser may be changed while it is served: one transaction, for which other writes wait. A choice, not yet a measurement.
    public static let analyzerNodes = 50_000

    // Metadata of one publish.
    /// Bytes as compact JSON.
    public static let metadataBytes = 64 << 10
    /// Levels of objects and arrays, with the object itself.
    public static let metadataDepth = 8
    /// Bytes of a path: the keys on the way to a value, joined by dots. What a key of the attribute index has room for.
    public static let metadataPathBytes = 192
    /// Values and paths that the attribute index keeps for one document.
    public static let metadataEntries = 1_024

    // One filter.
    /// Levels of `and`, `or` and `not`.
    public static let filterDepth = 16
    /// Conditions on fields.
    public static let filterConditions = 256
    /// Values of all conditions together.
    public static let filterValues = 10_000
    /// Bytes of a text that is compared for equality.
    public static let filterTextBytes = 4_096
    /// Bytes of a prefix and of the bound of a range of texts: as much of a text as a key of the attribute index holds.
    public static let filterOrderedTextBytes = 256
    /// Records of the attribute index that one filter reads.
    public static let filterRecords = 4_000_000

    // MARK: - Inboxes

    /// Entries of one answer, unless fewer are asked for.
    /// Seconds that a request may wait for its inbox, and requests that may wait.
    public static let inboxWaitSeconds = 60
    public static let waitingReaders = 10_000
    /// Connections of one address or key that follow something (event streams, WebSockets), and what one WebSocket may follow.
    public static let streamsPerParty = 1_000
    public static let subscriptionsPerSocket = 64
    /// Bytes of data that a stream takes from the store at a time, but for one item: what a reader who stops keeps waiting.
    public static let streamPieceBytes = 256 << 10
    /// Bytes of one message that a client sends on a WebSocket, in how many frames ever: a subscription with the longest names.
    public static let socketMessageBytes = 32 << 10
    /// Seconds after which a stream that has nothing to say says so.
    public static let streamCommentSeconds = 15
    public static let inboxPage = 100
    /// Entries of one answer at most.
    public static let inboxPageMax = 1_000
    /// Old entries that one transaction lets go.
    public static let expiredAtOnce = 5_000

    // MARK: - Retention and erasure

    /// Days and events that retention may be told; 0 stands for no bound.
    public static let retentionDays = 36_500
    public static let retentionEvents = 1_000_000_000
    /// Events, or entries of inboxes that name them, that one transaction trims.
    public static let trimmedAtOnce = 256
    /// Bytes of an encoded command up to which it is proposed as it is. A larger import comes in parts of this size, so that the journal has no
    /// entry that a follower or a backup has to hold whole for long.
    public static let commandPartBytes = 1 << 20
    /// Parts of one command: four times what the largest body and its vectors come to.
    public static let commandParts = 1_024
    /// Records that one transaction of an erasure takes, and bytes of events that it reads.
    public static let erasedAtOnce = 2_000
    public static let erasedBytesAtOnce = 8 << 20
    /// Documents whose time is over that one look takes.
    public static let expiredDocumentsAtOnce = 256
    /// Seconds that a document may live: a hundred years.
    public static let lifetimeSeconds = 3_153_600_000

    // MARK: - One published document

    /// Characters of a number. No program writes so many, and other readers of JSON stop at 4,300 (Python) or fewer.
    public static let numberCharacters = 1_000
    /// Bytes of a name: a key, a column, an element. A longer one is a text in the wrong place, and names are repeated.
    public static let contentNameBytes = 16 << 10
    /// Bytes of the path of a node, so that its key is not over `nodeKeyScalars`.
    public static let pathBytes = nodeKeyScalars - nameScalars - 1
    /// Fields of a table, in all rows together: each costs some 100 bytes while it is split.
    public static let tableCells = 2_000_000
    /// What the trees of other parsers may have: values of YAML, elements of XML, marks and lines of Markdown. Each costs 150 to 300 bytes
    /// until it is read: 10 MiB of brackets were 1.9 GB of cmark's nodes.
    public static let documentParts = 1_000_000
    /// Arrays and objects of one JSON text, each of which costs 64 bytes or more beside its value: 10 MiB of brackets were five million.
    public static let jsonContainers = 3_000_000
    /// Columns of a table: four times those of a spreadsheet.
    public static let tableColumns = 65_536

    /// Bytes that the nodes of a document may come to, names and paths counted as often as they are repeated. A row of 200 columns under
    /// names of 30 letters is 7 times the text that it came as, a path as long as `pathBytes` in a node of some letters 500 times: what is
    /// repeated that often fits into the first 16 MiB, where 20,000 nodes may have paths of 800 bytes.
    /// - Parameter bytes: of the document as it came.
    public static func expandedBytes(of bytes: Int) -> Int { (16 << 20) + 8 * bytes }

    // MARK: - Memory and threads
    /// Bytes of data up to which work on it is done where it is met; larger ones go to the threads for heavy work. 16 KiB are parsed in
    /// some 0.1 ms, about what two changes of thread may cost.
    public static let lightBytes = 16 << 10
    /// Bytes that all requests may hold together, unless configured otherwise: bodies on their way, what they become, answers until they
    /// are sent. With the model, its tables and what allocators keep it stays under 512 MB.
    public static let inflightBytes = 192 << 20

    // MARK: - Reading
    /// Bytes of one answer that lists something (nodes, keys, events, versions, agents, projects): what is behind them is asked for with the
    /// cursor that the answer gives. Also of what the matches of a query, of a batch of queries or of a registration hold. One item is
    /// always there, however large. As a value, a text of numbers takes thirty times its bytes: 8 MiB are at most 240 MB for a moment.
    public static let answerBytes = 8 << 20
    /// Events and nodes of one import document: one transaction, for which other writes wait.
    public static let importEvents = 100_000
    public static let importNodes = 50_000
    /// Bytes of an export that are made at a time.
    public static let exportPieceBytes = 1 << 20
    /// Items of one page, when the request asks for so many.
    public static let pageItems = 10_000
    /// Bytes of the missed events that a registration sends: 100 events of 10 MB would be held until the last is delivered.
    public static let catchUpBytes = 8 << 20
    /// States of the past that the whole server holds at a time; who comes later waits.
    public static let pastStates = 2
    /// Queries and batches that wait for one; more are refused until later.
    public static let pastWaiting = 32
    /// Different moments that the queries of one batch may ask for, of a project each: every one is a state of its own.
    public static let batchMoments = 8

    // MARK: - Agents, channels and webhooks
    /// Bytes of a channel that a registration names, and the longest that a pattern is held against: 256 elements over 512 bytes are
    /// some 2,000 machine words of work.
    public static let channelBytes = 512
    /// Bytes of any channel: `agent:<project>:<id>:updates:<number>` with the longest names.
    public static let ownChannelBytes = 2_064
    /// Bytes of a pattern of PSUBSCRIBE.
    public static let patternBytes = 256
    /// Dead letters that are kept of one webhook; of more the oldest goes. A replay of all of them is one request.
    public static let deadLetters = 1_000
    /// Dead letters of one answer, and of one request that names them.
    public static let deadLetterPage = 100
    /// Messages that wait for a webhook are counted up to here.
    public static let countedDeliveries = 10_000
    /// Messages of a webhook, and bytes of their data but for one, that are read at a time; and bytes of an answer that a history keeps.
    public static let deliveryBatch = 32
    public static let deliveryBatchBytes = 1 << 20
    public static let deliveryAnswerBytes = 1_024
    /// Webhook endpoints of a tenant: each event looks at all of them.
    public static let webhookEndpoints = 1_000
    /// Scalars of an endpoint's name and description, and names in one of its filters.
    public static let endpointNameScalars = 128
    public static let endpointDescriptionScalars = 512
    public static let endpointFilterItems = 256
    /// Events of a tenant that endpoints can still be told of: some 250 bytes each.
    public static let outboxEvents = 100_000
    /// Of them those that one look for an endpoint's next passes over.
    public static let outboxScan = 2_000
    /// Seconds that a secret goes on beside the one that takes its place.
    public static let secretOverlapSeconds = 86_400
    /// Tries that are kept of one endpoint.
    public static let deliveryRecords = 100
    /// Bytes of the data of a test delivery.
    public static let testEventBytes = 64 << 10
    /// Scalars of the secret of a webhook.
    public static let webhookSecretScalars = 1_024
    /// Registrations that a refusal lists when an id stands for several.
    public static let candidatesShown = 20
    /// Scalars of a webhook's URL: the bound of pydantic's `HttpUrl`.
    public static let addressScalars = 2_083

    // MARK: - Tenants
    /// Tenants of one store; all of them are in memory, some 500 bytes each.
    public static let tenants = 10_000
    /// Characters of a tenant's id.
    public static let tenantIDCharacters = 3...64
    /// Scalars of a tenant's name and of its owner's address.
    public static let tenantNameScalars = 128
    public static let tenantOwnerScalars = 320
    /// Bytes of a tenant's settings as JSON, and of what is noted beside them.
    public static let tenantSettingsBytes = 16 << 10
    /// The most that a quota may say.
    public static let quotaMost = 1_000_000_000
    /// Records of a removed tenant that one command erases: some 20 ms of the writer.
    public static let erasureRecords = 2_000
    /// Tenants whose figures are measured, one by one.
    public static let tenantsMeasured = 100

    // MARK: - Formats

    /// Bytes of the text that is kept of what a cell of a notebook printed.
    public static let notebookOutputBytes = 4_096
    /// Nodes that the entries of a log are gathered into; up to as many entries are a node each.
    public static let logNodes = 5_000

    // MARK: The binary protocol
    /// The longest deadline that a request may name; a later one is this. A day is more than any request takes.
    public static let deadlineMilliseconds = 86_400_000

    // MARK: The HTTP edge
    /// Bytes of path and query of a request, as they stand in its first line: two of the longest names percent-encoded, and room for a query.
    public static let targetBytes = 8 << 10
    /// Bytes of what a stranger sent that a refusal or an entry of the log shows.
    public static let echoBytes = 256
    /// Faults of one request that its refusal lists.
    public static let faults = 100
    /// How many times its own size a compressed body may grow, once it is over `expandedBytesFree`: JSON of records shrinks to a tenth or a
    /// thirtieth, a bomb to a thousandth.
    public static let expansionRatio = 100
    public static let expandedBytesFree = 1 << 20
    /// Token ids of one text of a request for embeddings, as OpenAI has it.
    public static let embeddingTokens = 8_192
    /// Token ids of all texts of one such request, as OpenAI has it: one of five digits may stand for 128 bytes.
    public static let embeddingTokensTotal = 300_000
}
