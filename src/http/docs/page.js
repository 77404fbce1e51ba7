// Shows the server's own document. Paths are relative, so that the page works below a prefix too.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#document",
  deepLinking: true,
  displayOperationId: false,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});
