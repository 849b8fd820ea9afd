// What the sandbox's page loads, from this server only: no other network is needed to try it.

enum SandboxAssets {
    struct File {
        /// Under /static/.
        let name: String
        let contentType: String
        let text: String
    }
    static let files = [
        File(name: "css/style.css", contentType: "text/css", text: style), File(name: "js/sandbox.js", contentType: "text/javascript", text: script),
    ]

    private static let style = """
        :root{color-scheme:light dark;--line:#8884;--accent:#0969da}
        *{box-sizing:border-box}
        body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:1.5rem auto;padding:0 1rem}
        h1{margin:0}h2{font-size:1.1rem;margin:0 0 .5rem}h3{font-size:1rem;margin:.75rem 0 .25rem}
        header p{margin:.25rem 0 1rem}
        main{display:grid;grid-template-columns:repeat(auto-fit,minmax(22rem,1fr));gap:1rem}
        section{border:1px solid var(--line);border-radius:.5rem;padding:1rem;min-width:0}
        label{display:block;margin:.25rem 0}
        input,textarea{width:100%;font:inherit;padding:.35rem .5rem;border:1px solid var(--line);border-radius:.35rem}
        input,textarea{background:transparent;color:inherit}
        textarea{min-height:5rem;font:.9em/1.4 ui-monospace,monospace}
        .row{display:flex;gap:.5rem}.row>*{flex:1}
        button{font:inherit;margin:.5rem .5rem 0 0;padding:.35rem .9rem;border:1px solid var(--accent);border-radius:.35rem}
        button{background:var(--accent);color:#fff;cursor:pointer}
        button.quiet{background:transparent;color:inherit;border-color:var(--line)}
        pre{overflow:auto;max-height:20rem;padding:.6rem;border:1px solid var(--line);border-radius:.35rem}
        pre{font:.85em/1.45 ui-monospace,monospace;white-space:pre-wrap;word-break:break-word}
        article{border-top:1px solid var(--line);padding:.5rem 0}
        .score{float:right;font-variant-numeric:tabular-nums}
        .refused{color:#cf222e}
        .meta{opacity:.75;font-size:.9em;margin:.25rem 0}
        table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.2rem .75rem .2rem 0;border-top:1px solid var(--line)}
        td.n,th.n{text-align:right}

        """

    private static let script = #"""
        "use strict";
        // The page of the sandbox: forms, and a stream that is read by hand, since a key cannot be sent by EventSource.
        const at = id => document.getElementById(id);
        const stored = sessionStorage.getItem("contex-key");
        if (stored) at("key").value = stored;
        const headers = more => {
          const key = at("key").value.trim();
          sessionStorage.setItem("contex-key", key);
          return key ? { "X-API-Key": key, ...more } : { ...more };
        };
        const project = () => at("project").value.trim();

        async function told(answer) {
          const text = await answer.text();
          try {
            const body = JSON.parse(text);
            return body.detail ? (typeof body.detail === "string" ? body.detail : JSON.stringify(body.detail)) : body.message || text;
          } catch { return text || answer.statusText; }
        }
        function refuse(place, text) {
          place.replaceChildren();
          const line = document.createElement("p");
          line.className = "refused";
          line.textContent = text;
          place.append(line);
        }
        // The server escapes what it puts into its fragments.
        async function show(place, request) {
          try {
            const answer = await request;
            if (answer.ok) place.innerHTML = await answer.text(); else refuse(place, await told(answer));
          } catch (error) { refuse(place, String(error)); }
        }

        async function projects() {
          const answer = await fetch("/api/v1/projects?limit=1000", { headers: headers() }).catch(() => null);
          if (!answer || !answer.ok) return;
          const names = (await answer.json()).projects.map(item => item.project_id);
          at("projects").replaceChildren(...names.map(name => Object.assign(document.createElement("option"), { value: name })));
          if (!project() && names.length) at("project").value = names[0];
        }

        at("publish").addEventListener("submit", async event => {
          event.preventDefault();
          const place = at("published");
          let data = at("data").value;
          try { data = JSON.parse(data); } catch { /* any other format is sent as the text that it is */ }
          const body = JSON.stringify({ project_id: project(), data_key: at("data_key").value, data });
          try {
            const answer = await fetch("/api/v1/data/publish", { method: "POST", headers: headers({ "Content-Type": "application/json" }), body });
            if (!answer.ok) return refuse(place, await told(answer));
            place.textContent = JSON.stringify(await answer.json(), null, 2);
            projects();
          } catch (error) { refuse(place, String(error)); }
        });

        at("ask").addEventListener("submit", event => {
          event.preventDefault();
          const fields = new URLSearchParams(new FormData(event.target));
          fields.set("project_id", project());
          show(at("results"), fetch("/sandbox/query", { method: "POST", headers: headers(), body: fields }));
        });
        at("stats").addEventListener("click", () =>
          show(at("contents"), fetch(`/sandbox/projects/${encodeURIComponent(project())}/stats`, { headers: headers() })));
        at("contains").addEventListener("click", async () => {
          try {
            const answer = await fetch(`/sandbox/projects/${encodeURIComponent(project())}/data`, { headers: headers() });
            if (!answer.ok) return refuse(at("contents"), await told(answer));
            const shown = document.createElement("pre");
            shown.textContent = JSON.stringify((await answer.json()).data, null, 2);
            at("contents").replaceChildren(shown);
          } catch (error) { refuse(at("contents"), String(error)); }
        });

        let following = null;
        function log(text, isRefusal) {
          const entry = document.createElement("pre");
          if (isRefusal) entry.className = "refused";
          entry.textContent = text;
          at("updates").prepend(entry);
          while (at("updates").childElementCount > 200) at("updates").lastElementChild.remove();
        }
        function stop() {
          if (following) following.abort();
          following = null;
          at("follow").textContent = "Subscribe";
        }
        at("subscribe").addEventListener("submit", async event => {
          event.preventDefault();
          if (following) return stop();
          const stopper = following = new AbortController();
          at("follow").textContent = "Stop";
          const needs = at("needs").value.split("\n").map(line => line.trim()).filter(line => line);
          const fields = new URLSearchParams({
            project_id: project(), data_needs: JSON.stringify(needs), session_id: `sandbox-${crypto.getRandomValues(new Uint32Array(2)).join("-")}` });
          try {
            const answer = await fetch(`/sandbox/subscribe?${fields}`, { headers: headers(), signal: stopper.signal });
            if (!answer.ok) { log(await told(answer), true); return stop(); }
            const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
            let rest = "";
            for (;;) {
              const { value, done } = await reader.read();
              if (done) break;
              const events = (rest + value).split("\n\n");
              rest = events.pop();
              for (const text of events) {
                const data = text.split("\n").filter(line => line.startsWith("data: ")).map(line => line.slice(6)).join("\n");
                if (data) log(JSON.stringify(JSON.parse(data), null, 2), text.startsWith("event: refused"));
              }
            }
            log("The stream has ended", true);
          } catch (error) { if (error.name !== "AbortError") log(String(error), true); }
          if (following === stopper) stop();
        });

        at("key").addEventListener("change", projects);
        projects();

        """#
}
