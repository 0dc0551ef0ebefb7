"""The cells of the documents that the product comes from, as they stand there: the tools, their schemas, the loop.

Only what names Amazon's own endpoint and a real account differs: see `client`.
"""

import json

import boto3

MODEL_ID = 'anthropic.claude-3-5-sonnet-20240620-v1:0'


def client(url):
    """The documents' first cell, with an endpoint and credentials that lead nowhere else."""
    return boto3.client(
        'bedrock-runtime',
        region_name='us-east-1',
        endpoint_url=url,
        aws_access_key_id='any',
        aws_secret_access_key='any',
    )


def get_current_time():
    """Get the current time"""
    from datetime import datetime
    return datetime.now().strftime("%Y-%m-%d %H:%M:%S")


def calculate(expression: str):
    """Calculate a mathematical expression"""
    try:
        result = eval(expression)
        return f"Result: {result}"
    except Exception as e:
        return f"Error: {str(e)}"


def search_database(query: str):
    """Search a mock database"""
    # Mock implementation
    database = {
        "AWS": "Amazon Web Services is a cloud platform",
        "SageMaker": "Amazon SageMaker is a machine learning service",
        "Bedrock": "Amazon Bedrock provides foundation models"
    }
    return database.get(query, "No information found")


# Tool registry
TOOLS = {
    "get_current_time": get_current_time,
    "calculate": calculate,
    "search_database": search_database
}

TOOL_SCHEMAS = [
    {
        "name": "get_current_time",
        "description": "Get the current date and time",
        "input_schema": {
            "type": "object",
            "properties": {},
            "required": []
        }
    },
    {
        "name": "calculate",
        "description": "Calculate a mathematical expression",
        "input_schema": {
            "type": "object",
            "properties": {
                "expression": {
                    "type": "string",
                    "description": "Mathematical expression to evaluate"
                }
            },
            "required": ["expression"]
        }
    },
    {
        "name": "search_database",
        "description": "Search the knowledge database",
        "input_schema": {
            "type": "object",
            "properties": {
                "query": {
                    "type": "string",
                    "description": "Search query"
                }
            },
            "required": ["query"]
        }
    }
]


def react_agent(bedrock_runtime, user_query: str, max_iterations: int = 5):
    """
    ReAct agent: Reasoning and Acting
    """
    conversation_history = []

    # Initial user message
    conversation_history.append({
        "role": "user",
        "content": user_query
    })

    for iteration in range(max_iterations):
        print(f"\n--- Iteration {iteration + 1} ---")

        # Call Bedrock with tools
        body = json.dumps({
            "anthropic_version": "bedrock-2023-05-31",
            "max_tokens": 2048,
            "messages": conversation_history,
            "tools": TOOL_SCHEMAS
        })

        response = bedrock_runtime.invoke_model(
            modelId=MODEL_ID,
            body=body
        )

        response_body = json.loads(response['body'].read())

        # Check stop reason
        stop_reason = response_body.get('stop_reason')

        if stop_reason == 'end_turn':
            # Agent finished
            final_response = response_body['content'][0]['text']
            print(f"Final Answer: {final_response}")
            return final_response

        elif stop_reason == 'tool_use':
            # Agent wants to use a tool
            content_blocks = response_body['content']

            # Add assistant response to history
            conversation_history.append({
                "role": "assistant",
                "content": content_blocks
            })

            # Execute tools
            tool_results = []
            for block in content_blocks:
                if block['type'] == 'tool_use':
                    tool_name = block['name']
                    tool_input = block['input']
                    tool_id = block['id']

                    print(f"Tool Call: {tool_name}({tool_input})")

                    # Execute tool
                    if tool_name in TOOLS:
                        result = TOOLS[tool_name](**tool_input)
                        print(f"Tool Result: {result}")

                        tool_results.append({
                            "type": "tool_result",
                            "tool_use_id": tool_id,
                            "content": str(result)
                        })

            # Add tool results to history
            conversation_history.append({
                "role": "user",
                "content": tool_results
            })

        else:
            print(f"Unexpected stop reason: {stop_reason}")
            break

    return "Max iterations reached"


def agent_with_memory(bedrock_runtime, history: list, user_query: str):
    """The documents' memory example; `history` stands for their table, which this product replaces."""
    messages = []
    for msg in history:
        messages.append({
            "role": msg['role'],
            "content": msg['content']
        })

    # Add new user message
    messages.append({
        "role": "user",
        "content": user_query
    })
    history.append({"role": "user", "content": user_query})

    # Call Bedrock
    body = json.dumps({
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 2048,
        "messages": messages
    })

    response = bedrock_runtime.invoke_model(
        modelId=MODEL_ID,
        body=body
    )

    response_body = json.loads(response['body'].read())
    assistant_message = response_body['content'][0]['text']
    history.append({"role": "assistant", "content": assistant_message})

    return assistant_message
