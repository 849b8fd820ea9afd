// Package contex is a client of Contex: publish data, ask for it in plain words, register what an agent needs and listen to what it is told.
//
//	client := contex.New("http://localhost:8001", nil)
//	shop := client.Project("shop")
//	shop.Publish(ctx, "tech", map[string]string{"db": "PostgreSQL"}, nil)
//	answer, err := shop.Query(ctx, "which database", nil)
//
// What is the same twice and once is tried again when the server is busy or the connection breaks, after pauses that grow; anything else only
// when it was certainly not done. Errors are *Error, unless the context ended.
package contex

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	version = "0.2.0"
	api     = "/api/v1"
	// The server says every 15 s that a stream is there; three of these missed, and it is not.
	streamSilence = 45 * time.Second
	pauseMax      = 5 * time.Second
	// What the server asks to be waited for longer than this is told to the caller instead.
	retryAfterMax = 20 * time.Second
)

// Refused before anything was done, so that a write may be sent again.
var notDone = map[string]bool{"server_busy": true, "rate_limited": true, "limit_reached": true, "logins_limited": true}

// Options of a client; all are optional.
type Options struct {
	// APIKey: CONTEX_API_KEY when not given.
	APIKey string
	// Timeout of one attempt: a minute.
	Timeout time.Duration
	// Attempts at most: 4.
	Attempts int
	// Pause before the second attempt, 100 ms; each further one is twice as long.
	Pause time.Duration
	// TLS: whom to trust over https, and what to show of oneself; TLSConfig makes one of files. nil: of the files that CONTEX_CA_FILE,
	// CONTEX_CLIENT_CERT and CONTEX_CLIENT_KEY name, else what the system trusts.
	TLS *tls.Config
	// HTTP is a client of your own, for proxies; without a Timeout, which would end streams. TLS is then its own.
	HTTP *http.Client
}

// TLSConfig makes of files in PEM how to talk TLS: who must have signed the server's certificate ("": whom the system trusts), and the
// certificate to show of oneself with its key ("": none). The server's name is always checked.
func TLSConfig(caFile, certificate, key string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s has no certificate in PEM", caFile)
		}
	}
	if certificate != "" {
		if key == "" {
			key = certificate
		}
		pair, err := tls.LoadX509KeyPair(certificate, key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// A Client of a server. It may be used by many goroutines.
type Client struct {
	url     string
	options Options
	// Why no request can be made: what the environment says of certificates is wrong.
	broken error
}

// New makes a client. Without an address it is CONTEX_URL, else http://localhost:8001.
func New(address string, options *Options) *Client {
	client := &Client{url: address}
	if options != nil {
		client.options = *options
	}
	if client.url == "" {
		client.url = os.Getenv("CONTEX_URL")
	}
	if client.url == "" {
		client.url = "http://localhost:8001"
	}
	client.url = strings.TrimRight(client.url, "/")
	set := &client.options
	if set.APIKey == "" {
		set.APIKey = os.Getenv("CONTEX_API_KEY")
	}
	if set.Timeout == 0 {
		set.Timeout = time.Minute
	}
	if set.Attempts == 0 {
		set.Attempts = 4
	}
	if set.Pause == 0 {
		set.Pause = 100 * time.Millisecond
	}
	if set.HTTP == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.MaxIdleConnsPerHost = 100
		if set.TLS == nil {
			set.TLS, client.broken = TLSConfig(os.Getenv("CONTEX_CA_FILE"), os.Getenv("CONTEX_CLIENT_CERT"), os.Getenv("CONTEX_CLIENT_KEY"))
		}
		transport.TLSClientConfig = set.TLS
		// A key goes nowhere else, whatever an answer says.
		refuse := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		set.HTTP = &http.Client{Transport: transport, CheckRedirect: refuse}
	}
	return client
}

// Close closes the connections that nothing goes over.
func (client *Client) Close() { client.options.HTTP.CloseIdleConnections() }

func part(name string) string { return url.PathEscape(name) }

type parameters map[string]any

func target(path string, given parameters) string {
	values := url.Values{}
	for name, value := range given {
		if text := fmt.Sprint(value); value != nil && text != "" {
			values.Set(name, text)
		}
	}
	if len(values) == 0 {
		return path
	}
	return path + "?" + values.Encode()
}

func (client *Client) request(ctx context.Context, method, path string, body []byte, accept string) (*http.Request, error) {
	if client.broken != nil {
		return nil, client.broken
	}
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	request, err := http.NewRequestWithContext(ctx, method, client.url+path, reader)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", accept)
	request.Header.Set("User-Agent", "contex-client-go/"+version)
	if client.options.APIKey != "" {
		request.Header.Set("X-API-Key", client.options.APIKey)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	return request, nil
}

func (client *Client) attempt(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	limited, cancel := context.WithTimeout(ctx, client.options.Timeout)
	defer cancel()
	request, err := client.request(limited, method, path, body, "application/json, application/problem+json")
	if err != nil {
		return nil, err
	}
	answer, err := client.options.HTTP.Do(request)
	if err == nil {
		defer answer.Body.Close()
		var content []byte
		if content, err = io.ReadAll(answer.Body); err == nil {
			if answer.StatusCode < 300 {
				return content, nil
			}
			return nil, refusal(answer, content)
		}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return nil, noAnswer(err, limited.Err() != nil)
}

// wait sleeps before another attempt, for a time shortened at random so that clients that failed together do not come again together.
func (client *Client) wait(ctx context.Context, attempt int, asked time.Duration) error {
	backoff := min(pauseMax, client.options.Pause<<min(16, attempt-1))
	timer := time.NewTimer(max(asked, backoff/2+rand.N(backoff/2+1)))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// send makes the request, again when that may help. again: twice is the same as once.
func (client *Client) send(ctx context.Context, method, path string, body any, again bool) ([]byte, error) {
	var content []byte
	if body != nil {
		var err error
		if content, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	for attempt := 1; ; attempt++ {
		answer, err := client.attempt(ctx, method, path, content)
		failure, is := err.(*Error)
		if !is {
			return answer, err
		}
		may := again || failure.NoAnswer && !failure.MayBeDone || notDone[failure.Code]
		if attempt >= client.options.Attempts || !failure.Passing() || !may || failure.RetryAfter > retryAfterMax {
			return nil, failure
		}
		if err := client.wait(ctx, attempt, failure.RetryAfter); err != nil {
			return nil, err
		}
	}
}

func ask[T any](ctx context.Context, client *Client, method, path string, body any, again bool) (*T, error) {
	content, err := client.send(ctx, method, path, body, again)
	if err != nil {
		return nil, err
	}
	answer := new(T)
	if err := json.Unmarshal(content, answer); err != nil {
		return nil, &Error{Code: "answer_unreadable", Message: fmt.Sprintf("what answered is no Contex server: %v", err), cause: err}
	}
	return answer, nil
}

// pages reads all items of a listing, page by page as they are taken.
func pages[T any](ctx context.Context, client *Client, path, member string, given parameters) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		given := maps.Clone(given) // so that the sequence can be taken again
		for {
			answer, err := ask[map[string]json.RawMessage](ctx, client, http.MethodGet, target(path, given), nil, true)
			var items []T
			if err == nil {
				err = json.Unmarshal((*answer)[member], &items)
			}
			if err != nil {
				yield(none, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			var cursor string
			if err := json.Unmarshal((*answer)["next_cursor"], &cursor); err != nil || cursor == "" {
				return
			}
			given["cursor"] = cursor
		}
	}
}

// Request asks any route of the API that has no method here, for instance Request(ctx, "GET", "/webhooks/endpoints", nil, &answer).
func (client *Client) Request(ctx context.Context, method, path string, body, answer any) error {
	content, err := client.send(ctx, method, api+path, body, method == http.MethodGet || method == http.MethodPut)
	if err != nil || answer == nil {
		return err
	}
	return json.Unmarshal(content, answer)
}

// Health says how the server is, and its parts.
func (client *Client) Health(ctx context.Context) (map[string]any, error) {
	answer, err := ask[map[string]any](ctx, client, http.MethodGet, api+"/health", nil, true)
	if err != nil {
		return nil, err
	}
	return *answer, nil
}

// Embed makes vectors of texts, by the server's model, in order.
func (client *Client) Embed(ctx context.Context, texts []string) ([][]float32, error) {
	answer, err := ask[struct {
		Data []struct{ Embedding []float32 }
	}](ctx, client, http.MethodPost, api+"/embeddings", map[string]any{"input": texts}, true)
	if err != nil {
		return nil, err
	}
	vectors := make([][]float32, len(answer.Data))
	for place, item := range answer.Data {
		vectors[place] = item.Embedding
	}
	return vectors, nil
}

// Projects are all projects.
func (client *Client) Projects(ctx context.Context) iter.Seq2[ProjectInfo, error] {
	return pages[ProjectInfo](ctx, client, api+"/projects", "projects", parameters{"limit": 500})
}

// Keys are the API keys, without the keys themselves.
func (client *Client) Keys(ctx context.Context) iter.Seq2[APIKey, error] {
	return pages[APIKey](ctx, client, api+"/auth/keys", "keys", parameters{"limit": 500})
}

// CreateKey makes an API key; Key is told only now. role is admin, publisher, consumer or readonly, on the projects or all.
func (client *Client) CreateKey(ctx context.Context, name, role string, projects ...string) (*APIKey, error) {
	made, err := ask[APIKey](ctx, client, http.MethodPost, target(api+"/auth/keys", parameters{"name": name}), nil, false)
	if err != nil || role == "" {
		return made, err
	}
	if projects == nil {
		projects = []string{}
	}
	_, err = client.send(ctx, http.MethodPost, target(api+"/auth/roles", parameters{"key_id": made.KeyID, "role": role}), projects, true)
	return made, err
}

// RevokeKey revokes an API key, and its role with it.
func (client *Client) RevokeKey(ctx context.Context, keyID string) error {
	_, err := client.send(ctx, http.MethodDelete, api+"/auth/keys/"+part(keyID), nil, false)
	return err
}

// A Project has documents under keys, questions, agents, a log of events.
type Project struct {
	client             *Client
	ID, path, versions string
}

// Project gives a project; a publish makes it when there is none.
func (client *Client) Project(id string) *Project {
	return &Project{client, id, api + "/projects/" + part(id), api + "/versions/projects/" + part(id) + "/data/"}
}

func optional[T any](options *T) T {
	if options == nil {
		return *new(T)
	}
	return *options
}

type publishBody struct {
	ProjectID string `json:"project_id"`
	PublishItem
}

// Publish publishes data under a key, in place of what it held; who needs it is told. A string is a text in one of the formats that Contex reads.
func (project *Project) Publish(ctx context.Context, dataKey string, data any, options *PublishOptions) (*Receipt, error) {
	body := publishBody{project.ID, PublishItem{dataKey, data, optional(options)}}
	return ask[Receipt](ctx, project.client, http.MethodPost, api+"/data/publish", body, false)
}

// outcomes are those of a batch: each what it says, or the error that it was refused with.
func outcomes[T any](ctx context.Context, client *Client, path string, body any, again bool, take func(*T, error)) error {
	answer, err := ask[struct{ Results []json.RawMessage }](ctx, client, http.MethodPost, path, body, again)
	if err != nil {
		return err
	}
	for _, text := range answer.Results {
		var refused struct{ Status, Error, Code string }
		if err := json.Unmarshal(text, &refused); err != nil {
			return err
		}
		if refused.Status == "failed" {
			take(nil, completed(&Error{Code: refused.Code, Message: refused.Error}))
			continue
		}
		item := new(T)
		if err := json.Unmarshal(text, item); err != nil {
			return err
		}
		take(item, nil)
	}
	return nil
}

// PublishMany makes up to 10,000 publishes in one request. One outcome each, in order.
func (project *Project) PublishMany(ctx context.Context, items []PublishItem) ([]PublishOutcome, error) {
	body := make([]publishBody, len(items))
	for place, item := range items {
		body[place] = publishBody{project.ID, item}
	}
	var found []PublishOutcome
	err := outcomes(ctx, project.client, api+"/batch/publish", body, false, func(receipt *Receipt, err error) { found = append(found, PublishOutcome{receipt, err}) })
	return found, err
}

// Delete removes what a key holds; its history stays.
func (project *Project) Delete(ctx context.Context, dataKey string) (*Receipt, error) {
	return ask[Receipt](ctx, project.client, http.MethodDelete, project.path+"/data/"+part(dataKey), nil, false)
}

// Get is what a key holds; with asOf (an event's number, or a time) what it held.
func (project *Project) Get(ctx context.Context, dataKey, asOf string) (*Document, error) {
	return ask[Document](ctx, project.client, http.MethodGet, target(project.path+"/data/"+part(dataKey), parameters{"as_of": asOf}), nil, true)
}

// Nodes are all nodes of the project, of one moment, so many of them read at once.
func (project *Project) Nodes(ctx context.Context, page int) iter.Seq2[Node, error] {
	return pages[Node](ctx, project.client, project.path+"/data", "data", parameters{"limit": page})
}

type queryBody struct {
	QueryOptions
	ProjectID      string `json:"project_id,omitempty"`
	Query          string `json:"query,omitempty"`
	ResponseFormat string `json:"response_format"`
	Limit          int    `json:"limit,omitempty"`
	Cursor         string `json:"cursor,omitempty"`
}

// Query is what answers a question, best first; the text may be empty when the options have a vector.
func (project *Project) Query(ctx context.Context, text string, options *QueryOptions) (*Answer, error) {
	body := queryBody{QueryOptions: optional(options), Query: text, ResponseFormat: "json"}
	return ask[Answer](ctx, project.client, http.MethodPost, project.path+"/query", body, true)
}

// Matches are all matches of a question (10,000 at most), best first, read page by page out of one state of the project.
func (project *Project) Matches(ctx context.Context, text string, options *QueryOptions) iter.Seq2[Match, error] {
	return func(yield func(Match, error) bool) {
		body := queryBody{QueryOptions: optional(options), Query: text, ResponseFormat: "json", Limit: 100}
		if body.Page > 0 {
			body.Limit = body.Page
		}
		for {
			answer, err := ask[Answer](ctx, project.client, http.MethodPost, project.path+"/query", body, true)
			if err != nil {
				yield(Match{}, err)
				return
			}
			for _, match := range answer.Matches {
				if !yield(match, nil) {
					return
				}
			}
			if body.Cursor = answer.NextCursor; body.Cursor == "" {
				return
			}
		}
	}
}

// QueryMany asks up to 100 questions in one request, all of one moment. One outcome each, in order.
func (project *Project) QueryMany(ctx context.Context, questions []string, options *QueryOptions) ([]QueryOutcome, error) {
	body := make([]queryBody, len(questions))
	for place, question := range questions {
		body[place] = queryBody{QueryOptions: optional(options), ProjectID: project.ID, Query: question, ResponseFormat: "json"}
	}
	var found []QueryOutcome
	err := outcomes(ctx, project.client, api+"/batch/query", body, true, func(answer *Answer, err error) { found = append(found, QueryOutcome{answer, err}) })
	return found, err
}

// Context is what answers a question as a text for a model: at most MaxTokens (4,000) of data, in a format such as toon, yaml or markdown.
func (project *Project) Context(ctx context.Context, text, format string, options *QueryOptions) (string, error) {
	body := queryBody{QueryOptions: optional(options), Query: text, ResponseFormat: format}
	if body.MaxTokens == 0 {
		body.MaxTokens = 4_000
	}
	content, err := project.client.send(ctx, http.MethodPost, project.path+"/query", body, true)
	return string(content), err
}

// Events are those of the log after since, oldest first, up to now, so many of them read at once.
func (project *Project) Events(ctx context.Context, since int64, page int) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for event, err := range pages[Event](ctx, project.client, project.path+"/events", "events", parameters{"since": since, "limit": page}) {
			// In the log the data stands under its key.
			var under map[string]json.RawMessage
			if err == nil && json.Unmarshal(event.Data, &under) == nil && len(under) == 1 {
				for event.DataKey, event.Data = range under {
				}
			}
			if !yield(event, err) {
				return
			}
		}
	}
}

// History are the versions of a key, newest first, so many of them read at once.
func (project *Project) History(ctx context.Context, dataKey string, page int) iter.Seq2[Version, error] {
	return pages[Version](ctx, project.client, project.versions+part(dataKey)+"/history", "versions", parameters{"limit": page})
}

// Version is what a key held after one of its own events.
func (project *Project) Version(ctx context.Context, dataKey string, sequence int64) (*Version, error) {
	return ask[Version](ctx, project.client, http.MethodGet, project.versions+part(dataKey)+"/version/"+strconv.FormatInt(sequence, 10), nil, true)
}

// Difference is two versions of a key, side by side.
func (project *Project) Difference(ctx context.Context, dataKey string, from, to int64) (*Difference, error) {
	path := target(project.versions+part(dataKey)+"/diff", parameters{"from_sequence": from, "to_sequence": to})
	return ask[Difference](ctx, project.client, http.MethodGet, path, nil, true)
}

// Restore publishes an old version again; the number of the new event.
func (project *Project) Restore(ctx context.Context, dataKey string, sequence int64) (int64, error) {
	answer, err := ask[struct {
		Sequence int64 `json:"new_sequence,string"`
	}](ctx, project.client, http.MethodPost, project.versions+part(dataKey)+"/restore/"+strconv.FormatInt(sequence, 10), nil, false)
	if err != nil {
		return 0, err
	}
	return answer.Sequence, nil
}

// Reaches says which agents a document would reach and by which needs, without publishing it (docs/needs.md).
func (project *Project) Reaches(ctx context.Context, data any, options *PublishOptions) ([]map[string]any, error) {
	body := struct {
		Data any `json:"data"`
		PublishOptions
	}{data, optional(options)}
	answer, err := ask[struct{ Agents []map[string]any }](ctx, project.client, http.MethodPost, project.path+"/match", body, true)
	if err != nil {
		return nil, err
	}
	return answer.Agents, nil
}

// TryNeeds says what needs would have matched of the last events (docs/needs.md).
func (project *Project) TryNeeds(ctx context.Context, needs []string) ([]map[string]any, error) {
	answer, err := ask[struct{ Needs []map[string]any }](ctx, project.client, http.MethodPost, project.path+"/needs/test", map[string]any{"needs": needs}, true)
	if err != nil {
		return nil, err
	}
	return answer.Needs, nil
}

// Settings of the project.
func (project *Project) Settings(ctx context.Context) (map[string]any, error) {
	answer, err := ask[map[string]any](ctx, project.client, http.MethodGet, project.path+"/settings", nil, true)
	if err != nil {
		return nil, err
	}
	return *answer, nil
}

// ChangeSettings sets how texts and queries become words: english, simple or code.
func (project *Project) ChangeSettings(ctx context.Context, analyzer string) (map[string]any, error) {
	answer, err := ask[map[string]any](ctx, project.client, http.MethodPut, project.path+"/settings", map[string]any{"analyzer": analyzer}, true)
	if err != nil {
		return nil, err
	}
	return *answer, nil
}

// Agents of the project.
func (project *Project) Agents(ctx context.Context) iter.Seq2[AgentName, error] {
	return pages[AgentName](ctx, project.client, project.path+"/agents", "registrations", parameters{"limit": 500})
}

// An Agent has needs, and is told what matches them.
type Agent struct {
	client              *Client
	ProjectID, ID, path string
}

// Agent gives an agent of the project, registered or not.
func (project *Project) Agent(id string) *Agent {
	return &Agent{project.client, project.ID, id, project.path + "/agents/" + part(id)}
}

// Register registers what the agent needs, in plain words, in place of an earlier registration. From now on it is told of what matches.
func (agent *Agent) Register(ctx context.Context, needs []string, options *RegisterOptions) (*Registration, error) {
	body := struct {
		AgentID   string   `json:"agent_id"`
		ProjectID string   `json:"project_id"`
		Needs     []string `json:"data_needs"`
		RegisterOptions
	}{agent.ID, agent.ProjectID, needs, optional(options)}
	if body.ResponseFormat == "" {
		body.ResponseFormat = "json"
	}
	return ask[Registration](ctx, agent.client, http.MethodPost, api+"/agents/register", body, false)
}

// Unregister forgets the agent, and its inbox. One that is not registered is no error.
func (agent *Agent) Unregister(ctx context.Context) error {
	_, err := agent.client.send(ctx, http.MethodDelete, agent.path, nil, true)
	return err
}

// Show is its registration, and how far deliveries have come.
func (agent *Agent) Show(ctx context.Context) (*AgentInfo, error) {
	return ask[AgentInfo](ctx, agent.client, http.MethodGet, agent.path, nil, true)
}

// Inbox is what the agent was told behind a cursor, else (with none) what it has not acknowledged; it waits so many seconds when there is nothing.
func (agent *Agent) Inbox(ctx context.Context, cursor string, limit, wait int) (*Inbox, error) {
	path := target(agent.path+"/inbox", parameters{"cursor": cursor, "limit": limit, "wait": wait})
	return ask[Inbox](ctx, agent.client, http.MethodGet, path, nil, true)
}

// Acknowledge: everything up to a cursor is dealt with and goes; how many updates that were.
func (agent *Agent) Acknowledge(ctx context.Context, cursor string) (int, error) {
	answer, err := ask[struct{ Removed int }](ctx, agent.client, http.MethodPost, agent.path+"/inbox/ack", map[string]any{"cursor": cursor}, true)
	if err != nil {
		return 0, err
	}
	return answer.Removed, nil
}
