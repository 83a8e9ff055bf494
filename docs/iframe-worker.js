// A browser starts no worker for a page that was opened from disk, and the search runs in one.
// There a hidden frame of the page takes its place: it runs the same script, and what each says
// the other hears as an event. Material's offline plugin asks for this under this name.
if (location.protocol === "file:") {
  window.IFrameWorker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      this.inside = frame.contentWindow;
      this.ready = new Promise((heard) => frame.addEventListener("load", heard));
      const page = frame.contentDocument;
      page.open();
      this.inside.postMessage = (data) =>
        this.dispatchEvent(new MessageEvent("message", { data }));
      page.write(`<!doctype html><script src="${new URL(url, location.href)}"></script>`);
      page.close();
    }

    postMessage(data) {
      this.ready.then(() => this.inside.dispatchEvent(new MessageEvent("message", { data })));
    }
  };
  window.Worker = window.IFrameWorker;
}
