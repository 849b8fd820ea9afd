'use strict';

const { Contex, Project, Agent } = require('./client.cjs');
const { errorOf, ...errors } = require('./errors.cjs');

module.exports = { Contex, Project, Agent, ...errors };
