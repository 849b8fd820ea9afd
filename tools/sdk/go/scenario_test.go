package contex

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// server is the address of the real one that Tests/Conformance/test_sdk_others.py starts.
func server(t *testing.T) string {
	t.Helper()
	if os.Getenv("CONTEX_URL") == "" {
		t.Skip("CONTEX_URL names no server")
	}
	return os.Getenv("CONTEX_URL")
}

func unique(name string) string { return fmt.Sprintf("%s-%x", name, rand.Uint64()) }

func difference(expected, found any, at string) string {
	switch wanted := expected.(type) {
	case map[string]any:
		text, isText := found.(string)
		items, isList := found.([]any)
		if wanted["any"] == true {
			if found == nil {
				return at + ": nothing there"
			}
			return ""
		}
		if least, is := wanted["least"].(float64); is {
			if number, is := found.(float64); !is || number < least {
				return fmt.Sprintf("%s: %v", at, found)
			}
			return ""
		}
		if count, is := wanted["count"].(float64); is {
			if !isList || len(items) != int(count) {
				return fmt.Sprintf("%s: %d items", at, len(items))
			}
			return ""
		}
		if part, is := wanted["has"].(string); is {
			if !isText || !strings.Contains(text, part) {
				return fmt.Sprintf("%s: %v", at, found)
			}
			return ""
		}
		members, _ := found.(map[string]any)
		for name, value := range wanted {
			if problem := difference(value, members[name], at+"."+name); problem != "" {
				return problem
			}
		}
		return ""
	case []any:
		items, _ := found.([]any)
		if len(items) != len(wanted) {
			return fmt.Sprintf("%s: %d items, not %d", at, len(items), len(wanted))
		}
		for place, value := range wanted {
			if problem := difference(value, items[place], fmt.Sprintf("%s[%d]", at, place)); problem != "" {
				return problem
			}
		}
		return ""
	case float64:
		// Numbers of events are texts in JSON.
		if text, is := found.(string); is {
			if number, err := strconv.ParseFloat(text, 64); err == nil {
				found = number
			}
		}
	}
	if expected != found {
		return fmt.Sprintf("%s: %v, not %v", at, found, expected)
	}
	return ""
}

// plain is a value as JSON says it.
func plain(value any) any {
	if value == nil {
		return nil
	}
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	var said any
	if err := json.Unmarshal(text, &said); err != nil {
		panic(err)
	}
	return said
}

func plainError(failure *Error) map[string]any {
	said := map[string]any{"code": failure.Code, "category": string(failure.Category), "advice": failure.Advice, "fields": plain(failure.Fields)}
	for name, text := range map[string]string{"request_id": failure.RequestID, "oldest_cursor": failure.OldestCursor} {
		if text != "" {
			said[name] = text
		}
	}
	if failure.Status != 0 {
		said["status"] = float64(failure.Status)
	}
	return said
}

func taken[T any](items iter.Seq2[T, error], wanted int) (any, error) {
	found := []T{}
	for item, err := range items {
		if err != nil {
			return nil, err
		}
		if found = append(found, item); len(found) == wanted {
			break
		}
	}
	return plain(found), nil
}

type arguments map[string]any

func (given arguments) text(name string) string { text, _ := given[name].(string); return text }
func (given arguments) number(name string) int {
	number, _ := given[name].(float64)
	return int(number)
}
func (given arguments) texts(name string) []string {
	var texts []string
	for _, item := range given[name].([]any) {
		texts = append(texts, item.(string))
	}
	return texts
}

// options reads the arguments into a struct of options by their names in JSON.
func options[T any](given arguments) *T {
	text, _ := json.Marshal(given)
	set := new(T)
	if err := json.Unmarshal(text, set); err != nil {
		panic(err)
	}
	return set
}

func call(ctx context.Context, client *Client, project *Project, name string, given arguments, wanted int) (any, error) {
	key, agent := given.text("data_key"), project.Agent(given.text("agent"))
	query := func() *QueryOptions {
		set := options[QueryOptions](given)
		set.Page = given.number("page")
		return set
	}
	switch name {
	case "health":
		return client.Health(ctx)
	case "embed":
		return client.Embed(ctx, given.texts("texts"))
	case "request":
		var answer any
		err := client.Request(ctx, given.text("method"), given.text("path"), nil, &answer)
		return answer, err
	case "publish":
		return project.Publish(ctx, key, given["data"], options[PublishOptions](given))
	case "publish_many":
		outcomes, err := project.PublishMany(ctx, options[struct{ Items []PublishItem }](given).Items)
		var said []any
		for _, one := range outcomes {
			if one.Err != nil {
				said = append(said, map[string]any{"error": plainError(one.Err.(*Error))})
			} else {
				said = append(said, one.Receipt)
			}
		}
		return said, err
	case "get":
		asOf := ""
		if number := given.number("as_of"); number != 0 {
			asOf = strconv.Itoa(number)
		}
		return project.Get(ctx, key, asOf)
	case "delete":
		return project.Delete(ctx, key)
	case "nodes":
		return taken(project.Nodes(ctx, given.number("page")), wanted)
	case "query":
		return project.Query(ctx, given.text("text"), query())
	case "matches":
		return taken(project.Matches(ctx, given.text("text"), query()), wanted)
	case "query_many":
		outcomes, err := project.QueryMany(ctx, given.texts("questions"), query())
		var said []any
		for _, one := range outcomes {
			said = append(said, one.Answer)
		}
		return said, err
	case "context":
		return project.Context(ctx, given.text("text"), given.text("format"), query())
	case "events":
		return taken(project.Events(ctx, int64(given.number("since")), given.number("page")), wanted)
	case "follow":
		return taken(project.Follow(ctx, given.text("after")), wanted)
	case "history":
		return taken(project.History(ctx, key, given.number("page")), wanted)
	case "version":
		return project.Version(ctx, key, int64(given.number("sequence")))
	case "difference":
		return project.Difference(ctx, key, int64(given.number("from_sequence")), int64(given.number("to_sequence")))
	case "restore":
		return project.Restore(ctx, key, int64(given.number("sequence")))
	case "reaches":
		return project.Reaches(ctx, given["data"], nil)
	case "try_needs":
		return project.TryNeeds(ctx, given.texts("needs"))
	case "settings":
		return project.Settings(ctx)
	case "change_settings":
		return project.ChangeSettings(ctx, given.text("analyzer"))
	case "agents":
		return taken(project.Agents(ctx), wanted)
	case "register":
		return agent.Register(ctx, given.texts("needs"), options[RegisterOptions](given))
	case "unregister":
		return nil, agent.Unregister(ctx)
	case "show":
		return agent.Show(ctx)
	case "inbox":
		return agent.Inbox(ctx, "", 100, 0)
	case "acknowledge":
		return agent.Acknowledge(ctx, given.text("cursor"))
	case "listen":
		return taken(agent.Listen(ctx, &ListenOptions{After: given.text("after"), KeepCursor: given["acknowledge"] == false}), wanted)
	}
	panic("the scenario calls " + name)
}

func filled(value any, names map[string]string) any {
	switch value := value.(type) {
	case string:
		for name, text := range names {
			value = strings.ReplaceAll(value, "{"+name+"}", text)
		}
		return value
	case []any:
		items := make([]any, len(value))
		for place, item := range value {
			items[place] = filled(item, names)
		}
		return items
	case map[string]any:
		members := map[string]any{}
		for name, item := range value {
			members[name] = filled(item, names)
		}
		return members
	}
	return value
}

func TestScenario(t *testing.T) {
	client := New(server(t), nil)
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	text, err := os.ReadFile("../scenario.json")
	if err != nil {
		t.Fatal(err)
	}
	var scenario struct {
		Steps []struct {
			Name, Call   string
			With         map[string]any
			Answer       any
			Error, Items any
			Whole        bool
			Save         map[string][]any
		}
	}
	if err := json.Unmarshal(text, &scenario); err != nil {
		t.Fatal(err)
	}
	names := map[string]string{"project": unique("go")}
	project := client.Project(names["project"])
	for _, step := range scenario.Steps {
		wanted := 0
		if items, is := step.Items.([]any); is {
			if wanted = len(items); step.Whole {
				wanted++
			}
		}
		given, _ := filled(step.With, names).(map[string]any)
		found, err := call(ctx, client, project, step.Call, given, wanted)
		found = plain(found)
		problem := ""
		switch {
		case err != nil:
			var failure *Error
			if !errors.As(err, &failure) || step.Error == nil {
				t.Fatalf("%s: %v", step.Name, err)
			}
			if problem = difference(step.Error, plainError(failure), "error"); !errors.Is(err, failure.Category) {
				problem = "an error is not of its category"
			}
		case step.Error != nil:
			problem = fmt.Sprintf("no error but %v", found)
		case step.Items != nil:
			problem = difference(step.Items, found, "items")
		case step.Answer != nil:
			problem = difference(step.Answer, found, "answer")
		}
		if problem != "" {
			t.Fatalf("%s: %s", step.Name, problem)
		}
		for name, path := range step.Save {
			value := found
			for _, part := range path {
				switch part := part.(type) {
				case float64:
					value = value.([]any)[int(part)]
				case string:
					value = value.(map[string]any)[part]
				}
			}
			names[name] = value.(string)
		}
	}
	if len(scenario.Steps) < 40 {
		t.Fatalf("%d steps", len(scenario.Steps))
	}
}
