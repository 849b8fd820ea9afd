/// The one table of prefix bytes: what follows tenant and project in every key of the store.
///
/// A number is never given twice, also not after its kind is gone. docs/formats/keyspace-v1.md has the layout of each key
/// and names the document that describes its value.
public enum KeyKind: UInt8, CaseIterable, Sendable {
    // Tenant 0, project 0: the store itself.
    case storeFormat = 0x01
    case vectorModel = 0x02
    case importMark = 0x03
    case position = 0x04
    case journalState = 0x05
    case journalEntry = 0x06

    // Project 0 of a tenant: its registries.
    case projectName = 0x10
    case tenantState = 0x11
    case agentDirectory = 0x12
    case usedQueries = 0x13
    case channelOwner = 0x14
    case rateLimit = 0x15
    case apiKeyTerms = 0x16
    case auditByObject = 0x17
    case apiKeyByHash = 0x18
    case apiKeyByID = 0x19
    case roleAssignment = 0x1A
    case auditState = 0x1B
    case auditRecord = 0x1C
    case auditByActor = 0x1D
    case auditByKind = 0x1E

    // Each of these levels: what its records add up to. Beside the state of the log, which is written as often.
    case recordSums = 0x1F

    // A project: the log and the documents.
    case logState = 0x20
    case event = 0x21
    case document = 0x22
    case documentByKey = 0x23
    case node = 0x24
    case documentVersion = 0x25
    case documentState = 0x26

    // A project: the vector index.
    case vectorState = 0x30
    case vector = 0x31
    case vectorLinks = 0x32
    case vectorSlots = 0x33
    case vectorCodes = 0x34
    case vectorNodes = 0x35
    case vectorBulk = 0x36
    case vectorSum = 0x37

    // A project: the inverted index.
    case textState = 0x40
    case posting = 0x41
    case textPositions = 0x42
    case textTerms = 0x43
    case textLengths = 0x44
    case textRecent = 0x45

    // A project: agents and their standing needs.
    case agent = 0x50
    case need = 0x51
    case needState = 0x52
    case agentMatch = 0x53
    case agentMatchByDocument = 0x54
    case inboxEntry = 0x55
    case inboxState = 0x56
    case agentNeeds = 0x57
    case needFollower = 0x58
    case needByText = 0x59
    case needTerm = 0x5A
    case needLimits = 0x5B
    case needCodes = 0x5C
    case inboxMatches = 0x5D

    // A project: attributes of its documents, for filters.
    case attributeNodes = 0x60
    case attributeTimes = 0x61

    // What goes out to webhooks: of a project's agents in the project, of a tenant's endpoints in its project 0.
    case deliveryState = 0x62
    case deadLetter = 0x63
    case webhookEndpoint = 0x64
    case outboxEvent = 0x65
    case outboxState = 0x66
    case deliveryAttempt = 0x67
    // Project 0 of a tenant: a command that comes in parts and is not whole yet.
    case commandPart = 0x68

    // A project: where its log begins, and by which rule it is trimmed. In a tenant's project 0: erasures that are under way.
    case logHorizon = 0x7C
    case retention = 0x7D
    // Documents that end by themselves: by time in their tenant's project 0, by document in the project.
    case expiryByTime = 0x7E
    case documentExpiry = 0x7F
    // Project 0 of a tenant: who may do what, beside the API keys.
    case serviceAccount = 0x78
    case customRole = 0x79
    case keyGrants = 0x7A
    // Tenants: what they are, in the store's own level; what each has used, in its own.
    case tenancyState = 0x70
    case tenant = 0x71
    case tenantByName = 0x72
    case tenantStorage = 0x73
    case tenantUsage = 0x74
    case tenantGone = 0x75
}
