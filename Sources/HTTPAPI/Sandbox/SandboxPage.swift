// The sandbox: a page on which somebody who has just started the server publishes, asks, and watches updates come.

enum SandboxPage {
    static func html(version: String, needsKey: Bool) -> String {
        """
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>Contex sandbox</title>
        <link rel="stylesheet" href="/static/css/style.css">
        <script src="/static/js/sandbox.js" defer></script>
        </head>
        <body>
        <header>
        <h1>Contex</h1>
        <p>Publish data, ask for what fits a question, and watch updates come to a need. Version \(HTMLText.escaped(version)), <a href="/docs">API</a>.</p>
        <div class="row">
        <label>Project <input id="project" list="projects" autocomplete="off" placeholder="its name"></label>
        <label>API key <input id="key" type="password" autocomplete="off" placeholder="\(needsKey ? "this server wants one" : "not needed here")"></label>
        </div>
        <datalist id="projects"></datalist>
        </header>
        <main>
        <section>
        <h2>Publish</h2>
        <form id="publish">
        <label>Key <input id="data_key" required placeholder="tech_stack"></label>
        <label>Data, in any format <textarea id="data" required placeholder='{"database": "PostgreSQL 16", "cache": "Redis"}'></textarea></label>
        <button>Publish</button>
        </form>
        <pre id="published"></pre>
        </section>
        <section>
        <h2>Ask</h2>
        <form id="ask" method="post" action="/sandbox/query">
        <label>Question <input name="query" required placeholder="which database do we use?"></label>
        <div class="row">
        <label>Matches <input name="top_k" type="number" min="1" max="50" placeholder="10"></label>
        <label>Similarity from <input name="threshold" type="number" min="0" max="1" step="any" placeholder="the server's"></label>
        <label>Tokens <input name="max_tokens" type="number" min="1000" max="128000" placeholder="51200"></label>
        </div>
        <button>Ask</button>
        </form>
        <div id="results"></div>
        </section>
        <section>
        <h2>Follow</h2>
        <form id="subscribe">
        <label>Needs, one a line <textarea id="needs" required placeholder="the database in use"></textarea></label>
        <button id="follow">Subscribe</button>
        </form>
        <div id="updates"></div>
        </section>
        <section>
        <h2>What the project has</h2>
        <button id="stats" class="quiet" type="button">Tokens by key</button><button id="contains" class="quiet" type="button">Documents</button>
        <div id="contents"></div>
        </section>
        </main>
        </body>
        </html>

        """
    }
}
