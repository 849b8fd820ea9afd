package contex

import "encoding/json"

// A Receipt is a publish or a deletion that is on the disk, in every index.
type Receipt struct {
	ProjectID string `json:"project_id"`
	DataKey   string `json:"data_key"`
	// Sequence is its place in the project's log.
	Sequence int64 `json:"sequence,string"`
	// Unchanged: the key held exactly this already; nothing was written, nobody is told.
	Unchanged bool `json:"unchanged,omitempty"`
}

// PublishOptions are all optional.
type PublishOptions struct {
	// Format of a text; found out when not given.
	Format string `json:"data_format,omitempty"`
	// Metadata is what filters can ask of it.
	Metadata map[string]any `json:"metadata,omitempty"`
	// Vector of your own: the data is then one node, and its text is not embedded.
	Vector    []float32 `json:"vector,omitempty"`
	EventType string    `json:"event_type,omitempty"`
}

// A PublishItem is one of PublishMany.
type PublishItem struct {
	DataKey string `json:"data_key"`
	Data    any    `json:"data"`
	PublishOptions
}

// A PublishOutcome is a receipt, or the error that an item was refused with.
type PublishOutcome struct {
	Receipt *Receipt
	Err     error
}

// QueryOptions say how a question is asked; what is not given is the server's default. See docs/query-syntax.md, filters.md, packing.md.
type QueryOptions struct {
	// TopK: matches at most, 1 to 50, 5 when not given.
	TopK int `json:"top_k,omitempty"`
	// Threshold: least similarity, 0 to 1.
	Threshold *float64 `json:"threshold,omitempty"`
	// MaxTokens: bound of the data of all matches, in cl100k tokens.
	MaxTokens int `json:"max_tokens,omitempty"`
	// Mode: hybrid, semantic or keyword.
	Mode string `json:"mode,omitempty"`
	// Filter: only data that passes is searched.
	Filter map[string]any `json:"filter,omitempty"`
	// Vector is the asker's own.
	Vector    []float32          `json:"query_vector,omitempty"`
	Syntax    string             `json:"syntax,omitempty"`
	Fusion    string             `json:"fusion,omitempty"`
	Weights   map[string]float64 `json:"weights,omitempty"`
	Diversity *float64           `json:"diversity,omitempty"`
	// Pinned: keys that come first, whatever their similarity.
	Pinned  []string `json:"pinned,omitempty"`
	Explain bool     `json:"explain,omitempty"`
	// ExplainKeys: of which the answer says whether they are matches, and if not, why.
	ExplainKeys []string `json:"explain_keys,omitempty"`
	// AsOf: as the project was after this event, or at this time.
	AsOf             any     `json:"as_of,omitempty"`
	EFSearch         int     `json:"ef_search,omitempty"`
	Recall           float64 `json:"recall,omitempty"`
	GroupBy          string  `json:"group_by,omitempty"`
	NodesPerDocument int     `json:"nodes_per_document,omitempty"`
	// Page: of Matches, how many are read at once.
	Page int `json:"-"`
}

// A Passage is what of a long node answers: characters Start to End of the text at Path, or several Nodes together.
type Passage struct {
	Start    *int     `json:"start,omitempty"`
	End      *int     `json:"end,omitempty"`
	Text     string   `json:"text,omitempty"`
	Path     string   `json:"path,omitempty"`
	LastPath string   `json:"last_path,omitempty"`
	Nodes    []string `json:"nodes,omitempty"`
}

// A Match is a node that answers a question.
type Match struct {
	// DataKey of the node: that of its document and a path in it.
	DataKey     string          `json:"data_key"`
	Similarity  float64         `json:"similarity"`
	Data        json.RawMessage `json:"data"`
	Description string          `json:"description"`
	Metadata    map[string]any  `json:"metadata,omitempty"`
	TokenCount  int             `json:"token_count"`
	Tokens      int             `json:"tokens,omitempty"`
	// Truncated: Data is not the whole.
	Truncated   bool           `json:"truncated,omitempty"`
	Pinned      bool           `json:"pinned,omitempty"`
	Passage     *Passage       `json:"passage,omitempty"`
	Others      []Match        `json:"others,omitempty"`
	Explanation map[string]any `json:"explanation,omitempty"`
}

// Packing says how an answer was fitted into its budget.
type Packing struct {
	MaxTokens     int                 `json:"max_tokens,omitempty"`
	Tokens        int                 `json:"tokens,omitempty"`
	Diversity     float64             `json:"diversity"`
	Truncated     bool                `json:"truncated"`
	Omitted       int                 `json:"omitted"`
	OmittedKeys   []string            `json:"omitted_keys"`
	Duplicates    []map[string]string `json:"duplicates"`
	PinnedMissing []string            `json:"pinned_missing,omitempty"`
}

// An Answer has matches, best first.
type Answer struct {
	Matches []Match  `json:"matches"`
	Packing *Packing `json:"packing,omitempty"`
	// Filter: how many nodes were passing, of how many.
	Filter     map[string]int   `json:"filter,omitempty"`
	Explained  []map[string]any `json:"explained,omitempty"`
	Notes      []string         `json:"notes,omitempty"`
	NextCursor string           `json:"next_cursor,omitempty"`
}

// A QueryOutcome is an answer, or the error that a question was refused with.
type QueryOutcome struct {
	Answer *Answer
	Err    error
}

// A Node is a part of a document that can be found.
type Node struct {
	DataKey     string          `json:"data_key"`
	Data        json.RawMessage `json:"data"`
	Description string          `json:"description"`
	Format      string          `json:"data_format"`
	Metadata    map[string]any  `json:"metadata,omitempty"`
}

// A Document is what a key holds, or held.
type Document struct {
	ProjectID string          `json:"project_id"`
	DataKey   string          `json:"data_key"`
	Sequence  int64           `json:"sequence,string"`
	Timestamp string          `json:"timestamp,omitempty"`
	Data      json.RawMessage `json:"data"`
	Format    string          `json:"data_format"`
	Nodes     []Node          `json:"nodes"`
	Metadata  map[string]any  `json:"metadata,omitempty"`
}

// A Version is what a key held after one of its events.
type Version struct {
	Sequence    int64           `json:"sequence,string"`
	Timestamp   string          `json:"timestamp,omitempty"`
	Data        json.RawMessage `json:"data"`
	Format      string          `json:"data_format"`
	Description string          `json:"description,omitempty"`
	EventType   string          `json:"event_type,omitempty"`
	Metadata    map[string]any  `json:"metadata,omitempty"`
}

// A Difference is two versions of a key.
type Difference struct {
	FromSequence int64           `json:"from_sequence,string"`
	ToSequence   int64           `json:"to_sequence,string"`
	FromData     json.RawMessage `json:"from_data"`
	ToData       json.RawMessage `json:"to_data"`
	Changed      bool            `json:"changed"`
}

// A Publisher is the API key that something was published with.
type Publisher struct {
	KeyID string `json:"key_id"`
	Name  string `json:"name"`
}

// An Event of a project's log.
type Event struct {
	Sequence int64  `json:"sequence,string"`
	Type     string `json:"event_type"`
	// DataKey is empty for an imported event that does not say.
	DataKey     string          `json:"data_key"`
	Data        json.RawMessage `json:"data"`
	Timestamp   string          `json:"timestamp,omitempty"`
	Metadata    map[string]any  `json:"metadata,omitempty"`
	PublishedBy *Publisher      `json:"published_by,omitempty"`
	// Cursor says where to go on behind it; there when it was followed.
	Cursor string `json:"cursor,omitempty"`
}

// An Update is what an agent is told.
type Update struct {
	// Cursor says where to go on once it is dealt with.
	Cursor   string `json:"cursor"`
	Sequence int64  `json:"sequence,string"`
	DataKey  string `json:"data_key"`
	// Reason: first_match, update of a document that the agent follows, or deletion.
	Reason string          `json:"reason"`
	Data   json.RawMessage `json:"data,omitempty"`
	// Needs that it matches; none when it comes because the document is followed.
	Needs       []string   `json:"needs"`
	PublishedBy *Publisher `json:"published_by,omitempty"`
	// Own: whether it was published with the key that the agent is registered with; nil when that is not known.
	Own *bool `json:"own,omitempty"`
}

// An Inbox is a page of what an agent was told and has not acknowledged.
type Inbox struct {
	Entries []Update `json:"entries"`
	Cursor  string   `json:"cursor"`
	HasMore bool     `json:"has_more"`
	// Gap: something was let go because it was old.
	Gap bool `json:"gap"`
}

// RegisterOptions are the settings of a registration, docs/needs.md.
type RegisterOptions struct {
	LastSeenSequence    string         `json:"last_seen_sequence,omitempty"`
	ResponseFormat      string         `json:"response_format,omitempty"`
	NotificationMethod  string         `json:"notification_method,omitempty"`
	NotificationChannel string         `json:"notification_channel,omitempty"`
	WebhookURL          string         `json:"webhook_url,omitempty"`
	WebhookSecret       string         `json:"webhook_secret,omitempty"`
	Envelope            string         `json:"envelope,omitempty"`
	MaxTokens           int            `json:"max_tokens,omitempty"`
	Diversity           *float64       `json:"diversity,omitempty"`
	Pinned              []string       `json:"pinned,omitempty"`
	MinSimilarity       *float64       `json:"min_similarity,omitempty"`
	Mode                string         `json:"mode,omitempty"`
	Filter              map[string]any `json:"filter,omitempty"`
	TopK                int            `json:"top_k,omitempty"`
}

// A Registration says what was registered, and what matches already.
type Registration struct {
	AgentID             string         `json:"agent_id"`
	ProjectID           string         `json:"project_id"`
	MatchedNeeds        map[string]int `json:"matched_needs"`
	CurrentSequence     int64          `json:"current_sequence,string"`
	CaughtUpEvents      int            `json:"caught_up_events"`
	NotificationChannel string         `json:"notification_channel"`
}

// AgentInfo is a registered agent.
type AgentInfo struct {
	ProjectID          string         `json:"project_id"`
	Needs              []string       `json:"needs"`
	NotificationMethod string         `json:"notification_method"`
	ResponseFormat     string         `json:"response_format"`
	Channel            string         `json:"channel"`
	WebhookURL         string         `json:"webhook_url,omitempty"`
	DataKeys           []string       `json:"data_keys"`
	LastSequence       int64          `json:"last_sequence,string"`
	Delivery           map[string]any `json:"delivery,omitempty"`
}

// AgentName names an agent.
type AgentName struct {
	AgentID   string `json:"agent_id"`
	ProjectID string `json:"project_id"`
}

// ProjectInfo is what there is of a project.
type ProjectInfo struct {
	ProjectID    string `json:"project_id"`
	Documents    int    `json:"documents"`
	Nodes        int    `json:"nodes"`
	Agents       int    `json:"agents"`
	LastSequence int64  `json:"last_sequence,string"`
	CreatedAt    string `json:"created_at"`
}

// APIKey is a key; Key itself is told once, when it is made.
type APIKey struct {
	KeyID     string `json:"key_id"`
	Name      string `json:"name"`
	CreatedAt string `json:"created_at"`
	Prefix    string `json:"prefix,omitempty"`
	Key       string `json:"key,omitempty"`
}

// Ptr is for options that may be zero: contex.Ptr(0.0).
func Ptr[T any](value T) *T { return &value }
