// What the sources use of Node, so that they are checked without its declarations.
declare function require(name: string): any;
declare var module: any;
declare var process: { env: Record<string, string | undefined> };
