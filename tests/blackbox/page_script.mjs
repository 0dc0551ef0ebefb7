// Runs the script of the documents' page as it stands there, with a few lines in place of a browser's document.
// Usage: node page_script.mjs URL KEY QUESTION…   Prints one JSON line for each message that the page shows.

const [url, key, ...questions] = process.argv.slice(2);
const elements = {};
const element = () => ({ value: '', style: {}, scrollTop: 0, scrollHeight: 0, addEventListener() {}, appendChild(child) {
    console.log(JSON.stringify({ class: child.className, text: child.textContent }));
} });
const document = {
    getElementById: id => (elements[id] ??= element()),
    createElement: () => element(),
};

const API_ENDPOINT = url;
const API_KEY = key;
let conversationId = generateUUID();

function generateUUID() {
    return 'xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx'.replace(/[xy]/g, function(c) {
        var r = Math.random() * 16 | 0, v = c == 'x' ? r : (r & 0x3 | 0x8);
        return v.toString(16);
    });
}

async function sendQuery() {
    const query = document.getElementById('query').value;
    if (!query) return;

    // Display user message
    addMessage(query, 'user');
    document.getElementById('query').value = '';
    document.getElementById('thinking').style.display = 'block';

    try {
        const response = await fetch(API_ENDPOINT, {
            method: 'POST',
            headers: {
                'Content-Type': 'application/json',
                'x-api-key': API_KEY
            },
            body: JSON.stringify({
                user_id: 'web-user',
                conversation_id: conversationId,
                query: query
            })
        });

        const data = await response.json();
        addMessage(data.response, 'agent');
    } catch (error) {
        addMessage('Error: ' + error.message, 'agent');
    } finally {
        document.getElementById('thinking').style.display = 'none';
    }
}

function addMessage(text, sender) {
    const chat = document.getElementById('chat');
    const msg = document.createElement('div');
    msg.className = 'message ' + sender;
    msg.textContent = text;
    chat.appendChild(msg);
    chat.scrollTop = chat.scrollHeight;
}

document.getElementById('query').addEventListener('keypress', function(e) {
    if (e.key === 'Enter') sendQuery();
});

for (const question of questions) {
    document.getElementById('query').value = question;
    await sendQuery();
}
